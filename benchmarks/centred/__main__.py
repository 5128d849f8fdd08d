"""Measures and prints the table: `python -m benchmarks.centred --help`."""

from benchmarks.centred.command import main

if __name__ == "__main__":
    main()
