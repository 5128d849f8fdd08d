"""How heavy the tails of draws are: the shape k of a generalised Pareto distribution."""

import math

import numpy as np

# Lighter tails never lie so many standard deviations out in thousands of draws: they need no fit.
_FAR_OUT_SD = 7.0
# So many scalars at once, whose draws fit into a cache.
_AT_ONCE = 64
# Tails of fewer draws say nothing.
_MIN_TAIL = 5
# What the fit is drawn to, as by so many draws more (Vehtari et al. 2024).
_PRIOR_K, _PRIOR_DRAWS = 0.5, 10


def heavy_tails(columns: np.ndarray) -> np.ndarray:
    """Estimate k of the heavier tail of each scalar, (n,); -inf where no draw lies far out.

    Moments above 1 / k are infinite. (Vehtari, Simpson, Gelman, Yao and Gabry 2024, Pareto smoothed importance
    sampling.) `columns` (n_chains, n_draws, n) are finite.
    """
    n_chains, n_draws, n = columns.shape
    draws = columns.reshape(n_chains * n_draws, n)
    k = np.full(n, -np.inf)
    n_tail = tail_length(len(draws))
    if n_tail < _MIN_TAIL:
        return k
    for first in range(0, n, _AT_ONCE):
        some = draws[:, first : first + _AT_ONCE]
        for column in first + np.flatnonzero(_reach(some) > _FAR_OUT_SD):
            ordered = np.sort(draws[:, column])
            k[column] = max(_tail_shape(ordered, n_tail), _tail_shape(-ordered[::-1], n_tail))
    return k


def _reach(draws: np.ndarray) -> np.ndarray:
    """How many standard deviations the furthest of some draws, (n_draws, n), lies from their mean; 0 if none moves."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # draws may be near the largest number
        centred = draws - draws.mean(axis=0)
        sd = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(draws))
        return np.where(sd > 0, np.abs(centred).max(axis=0) / sd, 0.0)


def tail_length(n_draws: int) -> int:
    """Return how many of so many draws make a tail."""
    return math.ceil(3 * math.sqrt(n_draws)) if n_draws > 225 else n_draws // 5


def _tail_shape(ordered: np.ndarray, n_tail: int) -> float:
    excess = ordered[-n_tail:] - ordered[-n_tail - 1]
    return -np.inf if excess[0] <= 0.0 else pareto_shape(excess)


def pareto_shape(excess: np.ndarray) -> float:
    """Fit a generalised Pareto distribution to positive values that ascend; return its shape.

    Zhang and Stephens (2009): the posterior mean over a grid of one parameter, with a weak prior.
    """
    n = len(excess)
    n_grid = 30 + math.isqrt(n)
    grid = 1.0 - np.sqrt(n_grid / (np.arange(1, n_grid + 1) - 0.5))
    grid = grid / (3.0 * excess[math.floor(n / 4 + 0.5) - 1]) + 1.0 / excess[-1]
    shapes = np.log1p(-grid[:, None] * excess).mean(axis=1)
    likelihood = n * (np.log(-grid / shapes) - shapes - 1.0)
    weights = np.exp(likelihood - likelihood.max())
    fitted = (grid * weights).sum() / weights.sum()
    shape = np.log1p(-fitted * excess).mean()
    return float((n * shape + _PRIOR_DRAWS * _PRIOR_K) / (n + _PRIOR_DRAWS))
