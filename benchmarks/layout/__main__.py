"""Measures layouts: `python -m benchmarks.layout --help`."""

from benchmarks.layout.command import main

if __name__ == "__main__":
    main()
