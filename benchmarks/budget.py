"""What of a plan fits into the minutes that there are: a run takes its times from those of earlier runs."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.caches import INSTALLED
from benchmarks.figures import BASELINE, LOW_RANK, OURS
from benchmarks.plan import Cell
from benchmarks.results_file import RESULTS

# They are run on every model; others where time is left, the quickest cells first.
ESSENTIAL = (OURS, BASELINE, LOW_RANK)

# Where nothing is known: seconds of a cell, and of what a cell does besides.
_UNKNOWN_S, _BESIDES_S = 60.0, 2.0
# The low-rank metric warms up for twice as many draws as the diagonal one.
_LIKE = {LOW_RANK: (BASELINE, 1.3)}
# A cell that is given less has no chance.
_LEAST_S = 10.0

Times = Mapping[tuple[str, str, str], float]


def known_times(folder: Path = RESULTS) -> dict[tuple[str, str, str], float]:
    """Read from all runs of the suite in a folder how many seconds a model took a sampler; the newest run counts."""
    found = {}
    for path in sorted(folder.glob("suite-*.json")):
        report = json.loads(path.read_text())
        for row in report["rows"]:
            if "skipped" not in row:
                cell = (row["model"], row["sampler"], row["caches"])
                found[cell] = seconds_of(row, report["settings"]["limit_s"])
    return found


def seconds_of(row: dict, limit_s: float) -> float:
    """Return the wall time of a cell; files of before 2026-11-30 do not tell that of the whole process."""
    if "seconds" in row:
        return row["seconds"]
    if "failure" in row:
        return limit_s
    measured = row["measurement"]
    phases = sum(measured[phase]["wall"] for phase in ("imported", "compiled", "sampled"))
    return measured.get("built_s", 0.0) + phases + _BESIDES_S


def is_essential(cell: Cell) -> bool:
    """Whether a cell is run before others: on a new model by us, by the baseline, and by its low-rank metric."""
    return cell.sampler in ESSENTIAL and cell.caches == INSTALLED


class Budget:
    """Chooses the cells of a plan that fit into a time which begins now, and says of each when its turn comes.

    Parameters
    ----------
    planned
        Cells in the order in which they will be asked for.
    times
        Seconds of model, sampler and caches, as `known_times` returns them.
    seconds
        That the run may take in all.
    limit_s
        That one cell may take.
    """

    def __init__(self, planned: Sequence[Cell], times: Times, seconds: float, limit_s: float):
        self._end, self._limit_s = time.monotonic() + seconds, limit_s
        # Those whose turn is still to come.
        self._expected = {cell: min(expected(cell, times), limit_s) for cell in planned}
        self._asked: dict[Cell, float] = {}
        self._spent_s = self._foreseen_s = 0.0

    def limit_of(self, cell: Cell) -> float | None:
        """Return how many seconds a cell may take whose turn has come; None if it is left out."""
        left = self._end - time.monotonic()
        if not is_essential(cell):
            left = self._left_for(cell, left)
        self._asked[cell] = self._expected.pop(cell)
        return min(self._limit_s, left) if left > _LEAST_S else None

    def _left_for(self, cell: Cell, left: float) -> float:
        """Return what a cell may use of the seconds that are left: not those of essential cells and quicker ones."""
        essential = sum(each for other, each in self._expected.items() if is_essential(other))
        left -= essential * self._pace
        quicker = [
            each
            for other, each in self._expected.items()
            if not is_essential(other) and self._rank(other) < self._rank(cell)
        ]
        return left if (sum(quicker) + self._expected[cell]) * self._pace <= left else 0.0

    def _rank(self, cell: Cell) -> tuple[bool, float]:
        """Return what comes first when it is the least: models that are new, then quick ones."""
        return (cell.caches != INSTALLED, self._expected[cell])

    def note(self, cell: Cell, seconds: float) -> None:
        """Take in how long a cell took: the rest is expected to be as much slower or faster than in earlier runs."""
        self._spent_s += seconds
        self._foreseen_s += self._asked[cell]

    @property
    def _pace(self) -> float:
        return self._spent_s / self._foreseen_s if self._foreseen_s > _UNKNOWN_S else 1.0


def expected(cell: Cell, times: Times) -> float:
    """Return the seconds that a cell is expected to take: as before, like a similar sampler, or like the others."""
    model, sampler, caches = cell.model, cell.sampler, cell.caches
    if (model, sampler, caches) in times:
        return times[model, sampler, caches]
    like, factor = _LIKE.get(sampler, (sampler, 1.0))
    if (model, like, caches) in times:
        return factor * times[model, like, caches]
    others = [seconds for (name, _, state), seconds in times.items() if (name, state) == (model, caches)]
    return median(others) if others else _UNKNOWN_S
