"""The figures that nutmill must reach against its peers, and whether a set of rows reaches them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.caches import EMPTY, INSTALLED, WARM
from benchmarks.comparison import Metric, Ratio, geometric_mean, ratio, select
from benchmarks.models import FURTHER, MODELS
from nutmill.comparison.quality import is_clean
from nutmill.comparison.samplers import STAN
from nutmill.comparison.summary import gradients_of, seconds_to_ess, seconds_to_sampling

OURS, BASELINE, LOW_RANK = "nutmill", "nutpie", "nutpie-low-rank"
PEERS = (BASELINE, LOW_RANK, "walnuts", "pymc", "numpyro", "blackjax", STAN)


class Figure(NamedTuple):
    """One quantity, where it is read, and the goals for its ratios (arranged so that larger is better for us).

    By peer, `goals` are for the geometric mean over `models`, `floors` for each model by itself.
    """

    title: str
    metric: Metric
    larger_is_better: bool
    caches: str
    models: tuple[str, ...]
    goals: Mapping[str, float] = {}
    floors: Mapping[str, float] = {}

    def wants(self, peer: str) -> bool:
        """Whether there is a goal against a peer."""
        return peer in self.goals or peer in self.floors


class Outcome(NamedTuple):
    """The ratio of every model that was measured, those that were not, and the ratio of all."""

    ratios: dict[str, Ratio]
    unmeasured: tuple[str, ...]
    overall: Ratio


def ess_per_kilogradient(measured: dict) -> float:
    """Return the least bulk ESS per thousand gradient evaluations, those of the warmup included.

    NaN for samplers that do not tell their gradients.
    """
    return 1000.0 * measured["quality"]["ess_bulk_min"] / gradients_of(measured)


def ess_per_cpu_second(measured: dict) -> float:
    """Return the least bulk ESS per CPU second of sampling, the warmup included, compilation left out."""
    return measured["quality"]["ess_bulk_min"] / max(measured["sampled"]["cpu"], 0.01)


def tail_ess_per_kilogradient(measured: dict) -> float:
    """Return the least tail ESS per thousand gradient evaluations, those of the warmup included.

    NaN for samplers that do not tell their gradients, and in files in which not every scalar was judged.
    """
    return 1000.0 * _tail_ess(measured) / gradients_of(measured)


def tail_ess_per_cpu_second(measured: dict) -> float:
    """Return the least tail ESS per CPU second of sampling; NaN in files in which not every scalar was judged."""
    return _tail_ess(measured) / max(measured["sampled"]["cpu"], 0.01)


def _tail_ess(measured: dict) -> float:
    return measured["quality"]["ess_tail_min"] if "n_scalars" in measured else math.nan


def gradient_microseconds(measured: dict) -> float:
    """Return the CPU microseconds of sampling per gradient evaluation, all else that sampling does included.

    NaN for samplers that do not tell their gradients.
    """
    return 1e6 * measured["sampled"]["cpu"] / gradients_of(measured)


def to_400_ess(measured: dict) -> float:
    """Return the seconds from the start of the process until every parameter has 400 effective draws.

    Of the bulk alone in files in which not every scalar was judged; NaN in files of before this was measured.
    """
    if "n_scalars" not in measured:
        measured = measured | {"quality": measured["quality"] | {"ess_tail_min": math.inf}}
    return seconds_to_ess(measured) if "built_s" in measured else math.nan


def to_sampling(measured: dict) -> float:
    """Return the seconds from the start of the process until sampling begins: imports, the model, its compile.

    NaN in files of before this was measured.
    """
    return seconds_to_sampling(measured) if "built_s" in measured else math.nan


def cpu_seconds(measured: dict) -> float:
    """Return the CPU seconds of importing the sampler, compiling and sampling, together."""
    return sum(measured[phase]["cpu"] for phase in ("imported", "compiled", "sampled"))


def peak_memory(measured: dict) -> float:
    """Return the peak resident memory in MB."""
    return measured["peak_rss_mb"]


ALL = (*MODELS, *FURTHER)

FIRST = Figure("Seconds from the start of a process to 400 ESS, model new", to_400_ess, False, INSTALLED, ALL)

FIGURES = (
    Figure(
        "Least bulk ESS per 1000 gradients",
        ess_per_kilogradient,
        True,
        INSTALLED,
        ALL,
        goals={BASELINE: 7.0, LOW_RANK: 2.0, "pymc": 2.0, STAN: 15.0},
        floors={BASELINE: 1.0, LOW_RANK: 1.0},
    ),
    Figure(
        "Least tail ESS per 1000 gradients",
        tail_ess_per_kilogradient,
        True,
        INSTALLED,
        ALL,
        goals={BASELINE: 7.0, LOW_RANK: 2.0, STAN: 15.0},
        floors={BASELINE: 1.0, LOW_RANK: 1.0},
    ),
    Figure(
        "Least bulk ESS per CPU second of sampling",
        ess_per_cpu_second,
        True,
        INSTALLED,
        ALL,
        goals={BASELINE: 12.0, LOW_RANK: 5.0, "pymc": 5.0, "numpyro": 3.0, STAN: 3.0},
        floors={BASELINE: 1.0, LOW_RANK: 1.0},
    ),
    Figure(
        "Least tail ESS per CPU second of sampling",
        tail_ess_per_cpu_second,
        True,
        INSTALLED,
        ALL,
        goals={BASELINE: 12.0, LOW_RANK: 5.0},
        floors={BASELINE: 1.0, LOW_RANK: 1.0},
    ),
    # What stands behind the others: they have no goals of their own.
    Figure("CPU microseconds of sampling per gradient", gradient_microseconds, False, INSTALLED, ALL),
    FIRST,
    Figure("Seconds from the start of a process to sampling, model new", to_sampling, False, INSTALLED, ALL),
    Figure("CPU seconds to the draws, model new", cpu_seconds, False, INSTALLED, ALL, floors={"nutpie": 1.0}),
    Figure("CPU seconds to the draws, model known", cpu_seconds, False, WARM, ALL, floors={"nutpie": 1.0}),
    Figure("CPU seconds to the draws, first run ever", cpu_seconds, False, EMPTY, ALL, floors={"nutpie": 1.0}),
    Figure("Peak memory in MB", peak_memory, False, INSTALLED, ALL, floors={"nutpie": 1.0}),
)


def evaluate(figure: Figure, rows: Sequence[dict], peer: str = BASELINE) -> Outcome:
    """Compute what `rows` say of `figure` against a peer; the overall ratio is NaN when no model was measured."""
    ratios = {}
    for model in figure.models:
        ours, theirs = (values(figure, rows, model, sampler) for sampler in (OURS, peer))
        if ours and theirs:
            ratios[model] = ratio(ours, theirs) if figure.larger_is_better else ratio(theirs, ours)
    unmeasured = tuple(model for model in _expected(figure, rows) if model not in ratios)
    overall = geometric_mean(list(ratios.values())) if ratios else Ratio(math.nan, math.nan)
    return Outcome(ratios, unmeasured, overall)


def _expected(figure: Figure, rows: Sequence[dict]) -> list[str]:
    """Which models a run should have: all of the suite, none left out in silence; of the further ones its own."""
    present = {row["model"] for row in rows}
    is_further = bool(present) and present <= set(FURTHER)
    return [model for model in figure.models if model in present or not (is_further or model in FURTHER)]


def clean_models(rows: Sequence[dict], sampler: str) -> dict[str, bool]:
    """Say of each model that a sampler has run, new to it, whether all these runs are clean (`quality.is_clean`)."""
    found: dict[str, bool] = {}
    for row in rows:
        if row["sampler"] == sampler and row["caches"] == INSTALLED and "measurement" in row:
            run = row["measurement"]
            found[row["model"]] = found.get(row["model"], True) and is_clean(run["quality"], run["divergences"])
    return found


def values(figure: Figure, rows: Sequence[dict], model: str, sampler: str) -> list[float]:
    """Return what the runs of a sampler on a model came to; nothing of those that do not tell."""
    found = select(rows, figure.metric, model=model, sampler=sampler, caches=figure.caches)
    return [value for value in found if not math.isnan(value)]


def misses(figure: Figure, rows: Sequence[dict], samplers: Sequence[str]) -> list[str]:
    """Say what falls short of `figure`'s goals against the samplers measured; what was not measured falls short."""
    outcomes = {peer: evaluate(figure, rows, peer) for peer in samplers if peer != OURS}
    return [sentence for peer, outcome in outcomes.items() for sentence in _misses(figure, peer, outcome)]


def _misses(figure: Figure, peer: str, outcome: Outcome) -> list[str]:
    short = []
    if outcome.unmeasured and figure.wants(peer):
        short.append(f"not measured against {peer}: {', '.join(outcome.unmeasured)}")
    if outcome.overall.value < figure.goals.get(peer, 0.0):
        short.append(
            f"against {peer} the geometric mean is {outcome.overall.value:.2f}, the goal {figure.goals[peer]:g}"
        )
    floor = figure.floors.get(peer, 0.0)
    for model, each in outcome.ratios.items():
        if floor and each.surely_below(floor):
            short.append(f"{model} is at {each.value:.2f} of {peer}, the floor {floor:g}")
    return short


def first_to_400_ess(rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str]) -> dict[str, str | None]:
    """Say for each model which sampler had 400 effective draws of every parameter first; None where none has."""
    winners = {}
    for model in models:
        times = {sampler: min(found) for sampler in samplers if (found := values(FIRST, rows, model, sampler))}
        winners[model] = min(times, key=times.get) if times else None
    return winners
