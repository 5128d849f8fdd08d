"""Measures and writes the page: `python -m benchmarks.references --help`."""

from benchmarks import report
from benchmarks.references.command import main

if __name__ == "__main__":
    report.main([str(main())])
