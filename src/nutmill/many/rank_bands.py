"""Whether ranks are uniform: an exact test on their cumulative counts, and bands that hold all of them at once.

The count of ranks up to k is binomial for each k, and the next count depends on the last one alone: so the probability
that all counts stay inside bounds is a sum over paths. (Saeilynoja, Buerkner and Vehtari 2022.)
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats


class Bands(NamedTuple):
    """Bounds of cumulative counts, (n_ranks,) int each: those of ranks up to 0, 1, ..., n_ranks - 1."""

    low: np.ndarray
    high: np.ndarray


def p_value(counts: np.ndarray) -> float:
    """Return how often ranks that are uniform stray as far as these.

    How far is that of the rank up to which there are most surprisingly few or many. `counts` (n_ranks + 1,) say how
    often each rank was found.
    """
    counts = np.asarray(counts)
    n, n_ranks = int(counts.sum()), len(counts) - 1
    up_to = np.cumsum(counts)[:-1]
    least = _two_sided(n, n_ranks)[np.arange(n_ranks), up_to].min()
    return 1.0 - _inside(n, n_ranks, _bands(n, n_ranks, least))


@lru_cache(maxsize=4)
def bands(n: int, n_ranks: int, level: float) -> Bands:
    """Return bounds inside of which all counts of `n` uniform ranks stay with a probability of `level` at least."""
    inner, outer = 0.0, 1.0 - level  # p-values of a single count: as wide as can be, and surely too narrow
    for _ in range(20):
        middle = 0.5 * (inner + outer)
        if _inside(n, n_ranks, _bands(n, n_ranks, middle)) >= level:
            inner = middle
        else:
            outer = middle
    return _bands(n, n_ranks, inner)


@lru_cache(maxsize=4)
def _two_sided(n: int, n_ranks: int) -> np.ndarray:
    """P-value of every count (n + 1,) of ranks up to each one, as if it alone had been looked at."""
    share = np.arange(1, n_ranks + 1)[:, None] / (n_ranks + 1)
    count = np.arange(n + 1)
    return 2.0 * np.minimum(stats.binom.cdf(count, n, share), stats.binom.sf(count - 1, n, share))


def _bands(n: int, n_ranks: int, p: float) -> Bands:
    """Bounds of the counts whose p-values are above `p`; the higher one is -1 where there are none."""
    inside = _two_sided(n, n_ranks) > p * (1.0 + 1e-9)
    highest = n - inside[:, ::-1].argmax(axis=1)
    return Bands(inside.argmax(axis=1), np.where(inside.any(axis=1), highest, -1))


def _inside(n: int, n_ranks: int, within: Bands) -> float:
    """Probability that all counts of uniform ranks are within bounds."""
    before, chance = np.zeros(1, int), np.ones(1)
    for k, (low, high) in enumerate(zip(within.low, within.high, strict=True)):
        now = np.arange(low, high + 1)
        steps = stats.binom.pmf(now[:, None] - before, n - before, 1.0 / (n_ranks + 1 - k))
        before, chance = now, steps @ chance
    return float(chance.sum())
