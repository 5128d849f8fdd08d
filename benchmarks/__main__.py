"""Runs every benchmark and writes its page: `python -m benchmarks`, or `make bench`."""

from benchmarks import efficiency, gradient, layout, report, run
from benchmarks.compiling import command as compiling

if __name__ == "__main__":
    for benchmark in (run, gradient, layout, efficiency, compiling):
        report.main([str(benchmark.main([]))])
