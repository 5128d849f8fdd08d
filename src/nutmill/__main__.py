"""The command `nutmill`, which `python -m nutmill` is too."""

from nutmill.cli.stopping import hold


def main() -> None:
    """Run it. Signals are held before the imports, which take longer than a scheduler may wait."""
    hold()
    from nutmill.cli.app import main

    main()


if __name__ == "__main__":
    main()
