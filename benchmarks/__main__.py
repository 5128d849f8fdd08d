"""Runs every benchmark and writes its page: `python -m benchmarks`, or `make bench`."""

from benchmarks import efficiency, gradient, report, run

if __name__ == "__main__":
    for benchmark in (run, gradient, efficiency):
        report.main([str(benchmark.main([]))])
