"""Runs the suite against all peers that are installed and writes its pages: `python -m benchmarks`, or `make bench`.

Options are those of `benchmarks.run`.
"""

from benchmarks import report, run

if __name__ == "__main__":
    report.main([str(run.main())])
