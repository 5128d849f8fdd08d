"""Measures, writes the page of the results, and prints the README's table: `python -m benchmarks.compiling --help`."""

from benchmarks import report
from benchmarks.compiling import command

if __name__ == "__main__":
    path = str(command.main())
    report.main([path])
    report.main(["--short", path])
