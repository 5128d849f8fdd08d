"""`python -m nutmill` is the command `nutmill`."""

from nutmill.cli.app import main

if __name__ == "__main__":
    main()
