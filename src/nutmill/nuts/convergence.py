"""Whether the chains of a group agree: split R-hat over the window of warmup, from its block moments."""

import math

from nutmill._jit import kernel
from nutmill.nuts.moments import in_window, merge
from nutmill.nuts.state import MEAN_POSITION, N_BLOCKS, SQUARES_POSITION


@kernel
def largest_rhat(state, n_draws):
    """Return the largest R-hat over all dimensions and the log density; infinity where there are too few draws.

    The sequences are the last two epochs of each chain, and for a single chain the halves of these.
    """
    worst = _rhat(state, n_draws, -1)
    for i in range(state.position.shape[1]):
        # Written so that NaN counts as no agreement.
        rhat = _rhat(state, n_draws, i)
        if not rhat <= worst:
            worst = rhat
    return worst


@kernel
def _rhat(state, n_draws, dimension):
    """R-hat of one dimension, or of the log density for -1 (Gelman et al. 2013, 11.4; sequences may differ in length)."""
    n_chains = state.chains.shape[0]
    per_sequence = 1 if n_chains == 1 else 2
    n_sequences, total_count, within = 0.0, 0.0, 0.0
    means = (0.0, 0.0, 0.0)
    for chain in range(n_chains):
        for first in range(0, N_BLOCKS, per_sequence):
            sequence = (0.0, 0.0, 0.0)
            for block in range(first, first + per_sequence):
                if in_window(state.blocks[chain, block], n_draws):
                    sequence = merge(sequence, _block_moments(state, chain, block, dimension))
            if sequence[0] < 2.0:
                return math.inf
            n_sequences += 1.0
            total_count += sequence[0]
            within += sequence[2] / (sequence[0] - 1.0)
            means = merge(means, (1.0, sequence[1], 0.0))
    count = total_count / n_sequences
    within /= n_sequences
    between = means[2] / (n_sequences - 1.0)
    return math.sqrt((count - 1.0) / count + between / within)


@kernel
def _block_moments(state, chain, block, dimension):
    if dimension >= 0:
        moments = state.moments[chain, block]
        count = float(state.blocks[chain, block].n_good)
        return count, moments[MEAN_POSITION, dimension], moments[SQUARES_POSITION, dimension]
    moments_of_lp = (0.0, 0.0, 0.0)
    for draw in range(state.blocks[chain, block].start, state.blocks[chain, block].end):
        moments_of_lp = merge(moments_of_lp, (1.0, state.warmup_lp[chain, draw], 0.0))
    return moments_of_lp
