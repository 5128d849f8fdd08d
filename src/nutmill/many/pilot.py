"""A pilot: the first data sets are fitted in several ways, and the cheapest that does as well is that of all fits."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from nutmill.many.all_fits import Plan, rows_of
from nutmill.many.datasets import DataSet
from nutmill.many.fitting import Fitter
from nutmill.many.keeping import FITS
from nutmill.sampling.request import Request

# Draws of a warmup that does not wait for chains to agree.
SHORT_WARMUP = 60
# Of the effective draws per gradient of the way that was asked for: what a cheaper one has to reach, so that chance
# does not turn it down; learning directions takes longer than the tenth that may be lost.
_AS_GOOD = 0.9


class _Found(NamedTuple):
    """What fits of one way came to: effective draws per gradient, (n,) each, NaN of one that failed; and problems."""

    bulk: np.ndarray
    tail: np.ndarray
    n_problems: int


def ways_of(request: Request) -> Iterator[Request]:
    """Give cheaper ways to fit than the one that was asked for, the cheapest first; what the user fixed stays."""
    if request.tune is None:
        yield request._replace(metric="diag", tune=SHORT_WARMUP)
    if request.metric != "diag":
        yield request._replace(metric="diag")


def chosen(plan: Plan, sets: Sequence[DataSet]) -> Request:
    """Fit the data sets in all ways, and choose one; the request of the plan's fitter is the way that was asked for.

    A cheaper way is taken if no more of its fits fail or have problems, and if its effective draws per gradient, in the
    bulk and in the tails, are at least 0.9 times as many in the geometric mean. All of this follows from the seed and
    these data sets alone: no time is measured.
    """
    requested = plan.fitter.request
    usual = _found(plan, requested, sets)
    for way in ways_of(requested):
        other = _found(plan, way, sets)
        gains = [_gain(other.bulk, usual.bulk), _gain(other.tail, usual.tail)]
        if other.n_problems <= usual.n_problems and min(gains) >= _AS_GOOD:
            return way
    return requested


def _found(plan: Plan, request: Request, sets: Sequence[DataSet]) -> _Found:
    fitter = Fitter(plan.fitter.compiled, request)
    fitter.expect(sets[0])
    kept: list[Any] = [
        row[FITS] for _, row in rows_of(plan._replace(fitter=fitter, keep=_nothing, raises=False), iter(sets))
    ]
    n_gradients = np.array([float(row["n_gradients"]) or np.nan for row in kept])
    bulk, tail = (np.array([float(row[name]) for row in kept]) for name in ("min_ess_bulk", "min_ess_tail"))
    return _Found(bulk / n_gradients, tail / n_gradients, sum(bool(str(row["problem"])) for row in kept))


def _nothing(fit: Any, summaries: Any) -> dict:
    return {}


def _gain(one: np.ndarray, other: np.ndarray) -> float:
    """Geometric mean of ratios where both are known; 0 where that is nowhere."""
    ratios = one / other
    known = np.isfinite(ratios) & (ratios > 0.0)
    return float(np.exp(np.log(ratios[known]).mean())) if known.any() else 0.0
