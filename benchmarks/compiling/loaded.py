"""Loads an artifact and draws once, in a process that does nothing else: measured from the start of the process."""

import json
import sys
from pathlib import Path

from benchmarks.resources import Spent, now, peak_rss_mb

# What an artifact is said to do without.
COMPILERS = ("pymc", "pytensor", "numba", "llvmlite")


def main(request: str, answer: str) -> None:
    """Load the file that the JSON text `request` names, draw once, and write what that took to the file `answer`.

    Wall and CPU seconds count from the start of the interpreter (`begun`, on the monotonic clock) until the draw has
    been returned, all imports included.
    """
    import nutmill

    cell = json.loads(request)
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    nutmill.load(cell["artifact"]).sample(draws=1, tune=1, chains=1, cores=1, random_seed=1, **quiet)
    so_far = now()
    measured = {
        "since_start": Spent(so_far.wall - cell["begun"], so_far.cpu)._asdict(),
        "peak_rss_mb": peak_rss_mb(),
        "imported_compilers": [name for name in COMPILERS if name in sys.modules],
    }
    Path(answer).write_text(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
