"""Whether the chains of a group agree over the window of warmup: in place, in spread, and in energies that move."""

import math
from typing import NamedTuple

import numpy as np

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.state import MEAN_POSITION, N_BLOCKS, SQUARES_POSITION
from nutmill.nuts.warmup.moments import in_window, merge, window_start

_CONVERGED_RHAT = 1.1
# Of the standard deviations of two chains. R-hat of folded draws does not see one chain of four in a neck: it is below
# 1.3 where that does not move at all, and of four hundred healthy parameters one in a short window has as much.
_LARGEST_SPREAD_GAP = math.log(3.0)
# Draws times BFMI; a random walk of any length has about 6.
_FEWEST_ENERGIES = 10.0
_LP = -1


class Trails(NamedTuple):
    """What each warmup draw and each block of them left, and up to where."""

    blocks: np.ndarray  # (c, 4) BLOCK
    moments: np.ndarray  # (c, 4, 4, n) float64
    lp: np.ndarray  # (c, n_warmup) float64
    energy: np.ndarray  # (c, n_warmup) float64
    n_draws: int  # draws of each chain so far; the latter half of them is the window


@kernel
def chains_agree(chains, trails):
    """Whether all chains are admitted, and agree over the window in every dimension and the log density."""
    for number in range(chains.shape[0]):
        start = window_start(trails.blocks[number], trails.n_draws)
        # Written so that NaN counts as no agreement, here and below.
        if not (
            chains[number].admitted and _n_energies(trails.energy[number, start : trails.n_draws]) >= _FEWEST_ENERGIES
        ):
            return False
    for dimension in range(_LP, trails.moments.shape[3]):
        if not (_rhat(trails, dimension) < _CONVERGED_RHAT and _spread_gap(trails, dimension) < _LARGEST_SPREAD_GAP):
            return False
    return True


@vector_kernel
def _n_energies(energy):
    """Return the number of draws times BFMI, which is E (E_t - E_t-1)^2 / var E (Betancourt 2016)."""
    mean, change, squares = 0.0, 0.0, 0.0
    for t in range(energy.shape[0]):
        mean += energy[t]
    mean /= energy.shape[0]
    for t in range(energy.shape[0]):
        squares += (energy[t] - mean) ** 2
    for t in range(1, energy.shape[0]):
        change += (energy[t] - energy[t - 1]) ** 2
    return energy.shape[0] * (change / squares)


@kernel
def _rhat(trails, dimension):
    """R-hat of one dimension, or of the log density (Gelman et al. 2013, 11.4); lengths may differ.

    Infinity where there are too few draws. The sequences are the last two epochs of each chain, and for a single
    chain the halves of these.
    """
    n_chains = trails.blocks.shape[0]
    per_sequence = 1 if n_chains == 1 else N_BLOCKS // 2
    total_count, within = 0.0, 0.0
    means = (0.0, 0.0, 0.0)
    for chain in range(n_chains):
        for first in range(0, N_BLOCKS, per_sequence):
            count, mean, squares = _pooled(trails, chain, first, first + per_sequence, dimension)
            if count < 2.0:
                return math.inf
            total_count += count
            within += squares / (count - 1.0)
            means = merge(means, (1.0, mean, 0.0))
    count, within = total_count / means[0], within / means[0]
    between = means[2] / (means[0] - 1.0)
    return math.sqrt((count - 1.0) / count + between / within)


@kernel
def _spread_gap(trails, dimension):
    """Return the logarithm of the largest standard deviation of a chain over the smallest; of one chain, of a block."""
    n_chains = trails.blocks.shape[0]
    per_sequence = 1 if n_chains == 1 else N_BLOCKS
    smallest, largest = math.inf, 0.0
    for chain in range(n_chains):
        for first in range(0, N_BLOCKS, per_sequence):
            count, _, squares = _pooled(trails, chain, first, first + per_sequence, dimension)
            smallest, largest = min(smallest, squares / count), max(largest, squares / count)
    return 0.5 * math.log(largest / smallest)


@kernel
def _pooled(trails, chain, first, last, dimension):
    """Return count, mean and sum of squares of the draws in some blocks of a chain, those in the window."""
    pooled = (0.0, 0.0, 0.0)
    for number in range(first, last):
        block, rows = trails.blocks[chain, number], trails.moments[chain, number]
        if in_window(block, trails.n_draws):
            if dimension == _LP:
                pooled = merge(pooled, _moments_of(trails.lp[chain, block.start : block.end]))
            else:
                squares = rows[SQUARES_POSITION, dimension]
                pooled = merge(pooled, (float(block.n_good), rows[MEAN_POSITION, dimension], squares))
    return pooled


@kernel
def _moments_of(values):
    """Return the count, mean and sum of squares of a vector."""
    moments = (0.0, 0.0, 0.0)
    for value in values:
        moments = merge(moments, (1.0, value, 0.0))
    return moments
