"""Where a peer does better on a model, and the measurement behind it: gradients, their cost, or the way to sampling."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from benchmarks.caches import INSTALLED
from benchmarks.comparison import Metric, select
from benchmarks.figures import (
    FIGURES,
    FIRST,
    OURS,
    clean_models,
    evaluate,
    gradient_microseconds,
    to_400_ess,
    to_sampling,
)
from nutmill.comparison.summary import gradients_of
from nutmill.comparison.tables import number

# Figures in which a peer can do better, and how the table calls them.
JUDGED = (*(each for each in FIGURES if each.larger_is_better), FIRST)
SHORT = {
    "Least bulk ESS per 1000 gradients": "bulk / gradient",
    "Least tail ESS per 1000 gradients": "tail / gradient",
    "Least bulk ESS per CPU second of sampling": "bulk / CPU s",
    "Least tail ESS per CPU second of sampling": "tail / CPU s",
    FIRST.title: "to 400 ESS",
}

HEADS = (
    "model",
    "against",
    "times better, below 1",
    "gradients per effective draw",
    "CPU us per gradient",
    "s to sampling",
    "s of sampling to 400 ESS",
    "clean",
    "what holds nutmill back",
)
NOTE = (
    "Every model on which a peer does better, by which figures, and what was measured there: nutmill's number, then "
    "the peer's. Gradients include the warmup; effective draws are those of the figure that is lowest, bulk or tails."
)


class Loss(NamedTuple):
    """A model and a peer that does better by some figures; pairs are ours and the peer's, NaN where not measured.

    Attributes
    ----------
    ratios : mapping of str to float
        Of the figures in which the peer does better, how many times better we are: below 1.
    gradients : pair of float
        For each effective draw of the figure that is lowest, bulk or tails; those of the warmup included.
    gradient_us : pair of float
        CPU microseconds of sampling per gradient.
    start_s : pair of float
        From the start of a process until sampling begins, the model new.
    sampling_s : pair of float
        Of sampling until 400 effective draws, on the wall.
    clean : pair of bool
    """

    model: str
    peer: str
    ratios: Mapping[str, float]
    gradients: tuple[float, float]
    gradient_us: tuple[float, float]
    start_s: tuple[float, float]
    sampling_s: tuple[float, float]
    clean: tuple[bool, bool]

    @property
    def cause(self) -> str:
        """Say what costs most, of what was measured."""
        if set(self.ratios) == {FIRST.title}:
            later = {
                "the way to sampling": self.start_s[0] - self.start_s[1],
                "sampling": self.sampling_s[0] - self.sampling_s[1],
            }
            longest = max(later, key=later.get)
            return f"{longest} takes {number(later[longest])} s longer"
        costs = {"gradients per effective draw": self.gradients, "CPU time per gradient": self.gradient_us}
        factors = {name: ours / theirs for name, (ours, theirs) in costs.items() if math.isfinite(ours / theirs)}
        if not factors:
            return f"{self.peer} does not tell its gradients"
        most = max(factors, key=factors.get)
        return f"{number(factors[most])} times the {most}"


def losses(rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str]) -> list[Loss]:
    """Find every model and peer that does better by draws per gradient or CPU second, or is first to 400 of them."""
    peers = [name for name in samplers if name != OURS]
    below: dict[tuple[str, str], dict[str, float]] = {(model, peer): {} for model in models for peer in peers}
    for figure in JUDGED:
        for peer in peers:
            for model, ratio in evaluate(figure, rows, peer).ratios.items():
                if ratio.value < 1.0 and model in models:
                    below[model, peer][figure.title] = ratio.value
    return [_explained(rows, *cell, ratios) for cell, ratios in below.items() if ratios]


def cells_of(loss: Loss) -> tuple[str, ...]:
    """Write a loss as the cells of a row, under `HEADS`."""
    pairs = (loss.gradients, loss.gradient_us, loss.start_s, loss.sampling_s)
    return (
        loss.model,
        loss.peer,
        "; ".join(f"{SHORT[title]} {number(ratio)}" for title, ratio in loss.ratios.items()),
        *(" : ".join(map(number, pair)) for pair in pairs),
        " : ".join("yes" if each else "no" for each in loss.clean),
        loss.cause,
    )


def _explained(rows: Sequence[dict], model: str, peer: str, ratios: Mapping[str, float]) -> Loss:
    def pair(metric: Metric) -> tuple[float, float]:
        ours, theirs = (select(rows, metric, model=model, sampler=name, caches=INSTALLED) for name in (OURS, peer))
        return fmean(ours), fmean(theirs)

    sampling_s = pair(lambda measured: to_400_ess(measured) - to_sampling(measured))
    clean = (clean_models(rows, OURS)[model], clean_models(rows, peer)[model])
    costs = (pair(_gradients_per_draw(ratios)), pair(gradient_microseconds), pair(to_sampling), sampling_s)
    return Loss(model, peer, ratios, *costs, clean)


def _gradients_per_draw(ratios: Mapping[str, float]) -> Metric:
    """Return what reads gradients per effective draw of the kind that the lowest figure is about."""
    lowest = min(ratios, key=lambda title: ratios[title])
    kinds = [kind for kind in ("bulk", "tail") if kind in lowest] or ["bulk", "tail"]
    return lambda measured: gradients_of(measured) / min(measured["quality"][f"ess_{kind}_min"] for kind in kinds)
