"""Measures and writes the page: `python -m benchmarks.posted --help`."""

from benchmarks import report
from benchmarks.posted.command import main

if __name__ == "__main__":
    report.main([str(main())])
