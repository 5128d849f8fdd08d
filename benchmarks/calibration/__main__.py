"""Measures and writes the page: `python -m benchmarks.calibration --help`."""

from benchmarks import report
from benchmarks.calibration.command import main

if __name__ == "__main__":
    report.main([str(main())])
