"""Measures and writes the page: `python -m benchmarks.validation --help`."""

from benchmarks import report
from benchmarks.validation.command import main

if __name__ == "__main__":
    report.main([str(main())])
