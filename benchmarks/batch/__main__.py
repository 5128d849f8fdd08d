"""Measures, and writes the page of the results: `python -m benchmarks.batch --help`."""

from benchmarks import report
from benchmarks.batch import command

if __name__ == "__main__":
    report.main([str(command.main())])
