"""Divergent draws: how many, in which chains, and where they lie."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from nutmill.diagnosis.finding import Finding, chains_named, count_of
from nutmill.diagnosis.posterior_scalars import Scalars

# Fewer have no place that they could be said to have.
MIN_TO_LOCATE = 5
# Of places that are named without a reason, over all scalars together.
FALSE_ALARMS = 0.001
# A place is an end of the draws of a scalar; a wider one tells nothing.
_WIDEST = 0.25


class Place(NamedTuple):
    """An end of the draws of one scalar in which many divergent ones lie."""

    label: str
    is_low: bool
    share: float  # of all draws
    n_inside: int  # divergent ones


def divergences(stats: xr.Dataset, scalars: Scalars) -> Iterator[Finding]:
    """Count divergent draws, and say where they lie.

    `stats` has the dims chain and draw; `scalars` are of the same draws, and the first ones are named where several
    tell the same.
    """
    diverging = stats["diverging"].values
    by_chain = diverging.sum(axis=1)
    total = int(by_chain.sum())
    if total == 0:
        return
    place = located(diverging, scalars)
    lie = "" if place is None else _in_words(place, total)
    yield Finding(
        "divergences",
        f"{total} of {count_of(diverging.size, 'draw')} diverged ({_of_chains(stats, by_chain)}){lie}: "
        f"a part of the posterior may be missing. {_advice(stats, total)}",
        () if place is None else (place.label,),
    )


def located(diverging: np.ndarray, scalars: Scalars) -> Place | None:
    """Find the scalar at whose end divergent draws crowd most, by the one-sided test of Kolmogorov and Smirnov.

    `diverging` is (n_chains, n_draws) bool.
    """
    n, n_scalars = int(diverging.sum()), len(scalars.labels)
    if n < MIN_TO_LOCATE or n_scalars == 0:
        return None
    ordered = np.sort(scalars.columns.reshape(diverging.size, n_scalars), axis=0)
    divergent = np.sort(scalars.columns[diverging], axis=0)
    counts = np.arange(1, n + 1)
    best, excess = None, math.sqrt(math.log(2 * n_scalars / FALSE_ALARMS) / (2 * n))
    for column, label in enumerate(scalars.labels):
        # The share of all draws that lies as far out as the k-th divergent one, from below and from above.
        n_below = np.searchsorted(ordered[:, column], divergent[:, column], side="right")
        n_above = len(ordered) - np.searchsorted(ordered[:, column], divergent[::-1, column], side="left")
        for share, is_low in ((n_below / len(ordered), True), (n_above / len(ordered), False)):
            further = np.where(share <= _WIDEST, counts / n - share, -np.inf)
            k = int(further.argmax())
            if further[k] > excess:
                best, excess = Place(str(label), is_low, float(share[k]), k + 1), float(further[k])
    return best


def _advice(stats: xr.Dataset, total: int) -> str:
    """Say what to do; a density that is infinite or no number a step further is cut off there, and not narrow."""
    if "max_energy_error" in stats:
        n_cut = int(np.count_nonzero(stats["diverging"].values & ~np.isfinite(stats["max_energy_error"].values)))
        if 2 * n_cut > total:
            return (
                f"At {'all' if n_cut == total else n_cut} of them the log density is not finite a few steps further: "
                "the posterior has an edge there. Write it into the priors (a bound, a transform, a narrower prior), "
                "or raise target_accept (0.95, 0.99)."
            )
    return "Raise target_accept (0.95, 0.99); if divergences stay, reparameterize, for example to a non-centred form."


def _in_words(place: Place, total: int) -> str:
    inside = "all" if place.n_inside == total else f"{place.n_inside} of them"
    percent = max(1, math.ceil(100 * place.share))
    return f"; {inside} lie in the {'lowest' if place.is_low else 'highest'} {percent} % of {place.label}"


def _of_chains(stats: xr.Dataset, by_chain: np.ndarray) -> str:
    """Name the chains; with their counts where most chains have few and one has most."""
    with_some = by_chain > 0
    if with_some.sum() > 1 and by_chain.max() > 0.75 * by_chain.sum():
        worst = stats["chain"].values[by_chain.argmax()]
        return f"{by_chain.max()} of them in chain {worst}, of {chains_named(stats, with_some)}"
    return chains_named(stats, with_some)
