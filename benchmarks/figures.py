"""The figures that nutmill must reach against nutpie, and whether a set of rows reaches them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.caches import EMPTY, INSTALLED, WARM
from benchmarks.comparison import Metric, Ratio, geometric_mean, ratio, select
from benchmarks.models import MODELS, POSTERIORDB

OURS, BASELINE = "nutmill", "nutpie"


class Figure(NamedTuple):
    """One quantity, where it is read, and the goal for its ratio (arranged so that larger is better for us).

    `goal` is for the geometric mean over `models`, `floor` for each model by itself; 0 where there is none.
    """

    title: str
    metric: Metric
    larger_is_better: bool
    caches: str
    models: tuple[str, ...]
    goal: float = 0.0
    floor: float = 0.0


class Outcome(NamedTuple):
    """The ratio of every model that was measured, those that were not, and the ratio of all."""

    ratios: dict[str, Ratio]
    unmeasured: tuple[str, ...]
    overall: Ratio


def ess_per_kilogradient(measured: dict) -> float:
    """Return the least bulk ESS per thousand gradient evaluations, those of the warmup included."""
    gradients = measured["warmup_gradients"] + measured["draw_gradients"]
    return 1000.0 * measured["quality"]["ess_bulk_min"] / gradients


def ess_per_cpu_second(measured: dict) -> float:
    """Return the least bulk ESS per CPU second of sampling, the warmup included, compilation left out."""
    return measured["quality"]["ess_bulk_min"] / max(measured["sampled"]["cpu"], 0.01)


def cpu_seconds(measured: dict) -> float:
    """Return the CPU seconds of importing the sampler, compiling and sampling, together."""
    return sum(measured[phase]["cpu"] for phase in ("imported", "compiled", "sampled"))


def peak_memory(measured: dict) -> float:
    """Return the peak resident memory in MB."""
    return measured["peak_rss_mb"]


KNOWN = tuple(POSTERIORDB)

FIGURES = (
    Figure("Least bulk ESS per 1000 gradients", ess_per_kilogradient, True, WARM, KNOWN, 1.2, 0.85),
    Figure("CPU seconds to the draws, model new", cpu_seconds, False, INSTALLED, MODELS, floor=1.0),
    Figure("CPU seconds to the draws, first run ever", cpu_seconds, False, EMPTY, MODELS, floor=1.0),
    Figure("CPU seconds to the draws, model known", cpu_seconds, False, WARM, MODELS, floor=1.0),
    Figure("Peak memory in MB", peak_memory, False, INSTALLED, MODELS, floor=1.0),
    Figure("Least bulk ESS per CPU second of sampling", ess_per_cpu_second, True, WARM, MODELS),
)


def evaluate(figure: Figure, rows: Sequence[dict]) -> Outcome:
    """Compute what `rows` say of `figure`; the overall ratio is NaN when no model was measured."""
    ratios = {}
    for model in figure.models:
        ours, theirs = (
            select(rows, figure.metric, model=model, sampler=sampler, caches=figure.caches)
            for sampler in (OURS, BASELINE)
        )
        if ours and theirs:
            ratios[model] = ratio(ours, theirs) if figure.larger_is_better else ratio(theirs, ours)
    unmeasured = tuple(model for model in figure.models if model not in ratios)
    overall = geometric_mean(list(ratios.values())) if ratios else Ratio(math.nan, math.nan)
    return Outcome(ratios, unmeasured, overall)


def misses(figure: Figure, outcome: Outcome) -> list[str]:
    """Say what falls short of `figure`'s goal and floor; what was not measured falls short."""
    short = []
    if outcome.unmeasured and (figure.goal or figure.floor):
        short.append(f"not measured: {', '.join(outcome.unmeasured)}")
    if figure.goal and outcome.overall.value < figure.goal:
        short.append(f"the geometric mean is {outcome.overall.value:.2f}, the goal {figure.goal:g}")
    for model, each in outcome.ratios.items():
        if figure.floor and each.surely_below(figure.floor):
            short.append(f"{model} is at {each.value:.2f}, the floor {figure.floor:g}")
    return short
