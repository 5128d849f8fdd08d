"""The figures that compiling must reach, and whether a set of rows reaches them."""

import math
from collections.abc import Sequence
from statistics import median

from benchmarks.comparison import Ratio, geometric_mean, select
from benchmarks.compiling.plan import ARTIFACT, COLD, ISOLATED, NEW_DATA, OTHER_DATA, OURS, WARM
from benchmarks.goals import Goal

BASELINE = "nutpie"
WARM_S, ARTIFACT_S, REGRESSION_S, KEPT_MB = 0.3, 1.0, 5.0, 100.0
WARM_TIMES, COLD_TIMES, COLD_FLOOR, MEMORY_TIMES = 20.0, 3.0, 1.0, 2.0
REGRESSION, LARGE = "regression", "generated"


class Rows:
    """What was measured: medians over the rounds of each cell, NaN where a cell has no measurement."""

    def __init__(self, rows: Sequence[dict]):
        self._rows = rows

    def each(self, path: str, **cell: str) -> list[float]:
        """Return the quantity at `path` (as `first_draw.cpu`) of every round of the cell with the given fields."""
        return select(self._rows, lambda measured: _at(measured, path), **cell)

    def median(self, path: str, **cell: str) -> float:
        """Return the median of `each`."""
        values = self.each(path, **cell)
        return median(values) if values else math.nan

    def times(self, path: str, model: str, peer: str, cell: str) -> float:
        """Return how many times as much as nutmill `peer` takes, by their medians."""
        theirs, ours = (self.median(path, model=model, sampler=name, cell=cell) for name in (peer, OURS))
        return theirs / ours

    def overall(self, path: str, models: Sequence[str], peer: str, cell: str) -> float:
        """Return the geometric mean of `times` over the models that were measured for both, NaN if there is none."""
        ratios = [self.times(path, model, peer, cell) for model in models]
        known = [Ratio(ratio, math.nan) for ratio in ratios if not math.isnan(ratio)]
        return geometric_mean(known).value if known else math.nan


def goals(rows: Rows, models: Sequence[str]) -> list[Goal]:
    """Judge everything that can be judged with one number."""
    cpu, wall = "first_draw.cpu", "drawn.wall"
    cold = [rows.times(cpu, model, BASELINE, COLD) for model in models]
    compiled = _compiled_again(rows, models)
    peak = f"peak memory, nutpie's times ours, {LARGE}"
    return [
        Goal("warm, CPU s, the slowest model", _worst(rows, cpu, models, WARM), WARM_S, True),
        Goal("warm, nutpie's times ours, geometric mean", rows.overall(cpu, models, BASELINE, WARM), WARM_TIMES, False),
        Goal(
            "artifact, wall s from the start, the slowest model", _worst(rows, wall, models, ARTIFACT), ARTIFACT_S, True
        ),
        Goal("cold, nutpie's times ours, geometric mean", rows.overall(cpu, models, BASELINE, COLD), COLD_TIMES, False),
        Goal("cold, nutpie's times ours, the least", least(cold), COLD_FLOOR, False),
        Goal(
            "cold, CPU s, regression", rows.median(cpu, model=REGRESSION, sampler=OURS, cell=COLD), REGRESSION_S, True
        ),
        Goal("data of another size, runs that compiled", compiled, 1, True),
        Goal(f"{peak}, PyMC's own with it", rows.times("peak_rss_mb", LARGE, BASELINE, COLD), MEMORY_TIMES, False),
        Goal(f"{peak}, above PyMC's own", rows.times("added_mb", LARGE, BASELINE, COLD), MEMORY_TIMES, False),
        Goal("kept with isolate=True, MB, the most", _worst(rows, "kept_mb", models, ISOLATED), KEPT_MB, True),
    ]


def least(values: Sequence[float]) -> float:
    """Return the least of the numbers that are known, NaN if there is none."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def _worst(rows: Rows, path: str, models: Sequence[str], cell: str) -> float:
    return -least([-rows.median(path, model=model, sampler=OURS, cell=cell) for model in models])


def _compiled_again(rows: Rows, models: Sequence[str]) -> float:
    told = [
        from_cache
        for model in models
        for cell in (OTHER_DATA, NEW_DATA)
        for from_cache in rows.each("from_cache", model=model, sampler=OURS, cell=cell)
    ]
    return told.count(False) if told else math.nan


def _at(measured: dict, path: str) -> float:
    for name in path.split("."):
        measured = measured[name]
    return measured
