"""The command `nutmill`, which `python -m nutmill` is too."""

import os

from nutmill.cli.stopping import hold_signals


def main() -> None:
    """Run it. Signals are held before the imports, which take longer than a scheduler may wait."""
    hold_signals()
    # Where a shell has closed stderr, a file of draws would take its number, and what libraries print with it.
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    from nutmill.cli.app import main

    main()


if __name__ == "__main__":
    main()
