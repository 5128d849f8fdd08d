"""Runs campaigns from the command line; see docs/reliability.md.

    cd tests
    python -m campaigns                 # which there are
    python -m campaigns kill 300        # one of them, so many times; a third number is the seed

Exits with 1 if something did not hold, and prints a line for each.
"""

import logging
import sys
import tempfile
from pathlib import Path

from campaigns.kinds import KINDS
from campaigns.trials import HELD


def main(arguments: list[str]) -> int:
    """Run what the command line says."""
    if len(arguments) < 2 or arguments[0] not in KINDS:
        print(*(f"{name:14} {kind.what}" for name, kind in KINDS.items()), sep="\n")
        return 2 if arguments else 0
    logging.getLogger("nutmill").setLevel(logging.ERROR)
    name, times, seed = arguments[0], *(int(number) for number in [*arguments[1:], "1"][:2])
    with tempfile.TemporaryDirectory(prefix="nutmill-campaign-") as folder:
        found = KINDS[name].run(times, seed=seed, folder=Path(folder))
    return 0 if set(found) <= HELD else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
