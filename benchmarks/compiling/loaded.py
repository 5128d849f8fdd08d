"""Loads an artifact and draws once, in a process that does nothing else: measured from the start of the process."""

import json
import sys
from functools import partial
from pathlib import Path

from nutmill import sample_numba
from nutmill.comparison.resources import Spent, now, peak_rss_mb

# What an artifact is said to do without.
COMPILERS = ("pymc", "pytensor", "numba")


def main(request: str, answer: str) -> None:
    """Load the file that the JSON text `request` names, draw once, and write what that took to the file `answer`.

    Wall and CPU seconds count from the start of the interpreter (`begun`, on the monotonic clock), all imports
    included: `drawn` until the draw is there and its result begins to be made, `since_start` until that has been
    returned, for which ArviZ is imported. `imported_compilers` and `peak_rss_mb` are those of the first draw.
    """
    import nutmill
    from nutmill.sampling import session

    cell = json.loads(request)
    compiled = nutmill.load(cell["artifact"])
    measured = {}
    # Nothing that is public tells when sampling has ended and the result is about to be made.
    session.finish = partial(_noting, session.finish, measured, cell["begun"])
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    sample_numba(compiled, draws=1, tune=1, chains=1, cores=1, random_seed=1, **quiet)
    measured["since_start"] = _since(cell["begun"])
    Path(answer).write_text(json.dumps(measured))


def _noting(finish, measured: dict, begun: float, *arguments):
    measured["drawn"] = _since(begun)
    measured["peak_rss_mb"] = peak_rss_mb()
    measured["imported_compilers"] = [name for name in COMPILERS if name in sys.modules]
    return finish(*arguments)


def _since(begun: float) -> dict[str, float]:
    so_far = now()
    return Spent(so_far.wall - begun, so_far.cpu)._asdict()


if __name__ == "__main__":
    main(*sys.argv[1:])
