"""Runs the suite against all peers that are installed and writes its pages: `python -m benchmarks`, or `make bench`."""

from benchmarks import report, run

if __name__ == "__main__":
    report.main([str(run.main([]))])
