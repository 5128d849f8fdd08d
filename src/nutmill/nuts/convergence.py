"""Whether the chains of a group agree: split R-hat over the window of warmup, from its block moments."""

import math

from nutmill._jit import kernel
from nutmill.nuts.moments import in_window, merge
from nutmill.nuts.state import MEAN_POSITION, N_BLOCKS, SQUARES_POSITION


@kernel
def largest_rhat(chains, blocks, moments, lp, n_draws):
    """Return the largest R-hat over all dimensions and the log density.

    Infinity where there are too few draws or a chain is not admitted. The sequences are the last two epochs
    of each chain, and for a single chain the halves of these.
    """
    for chain in range(chains.shape[0]):
        if not chains[chain].admitted:
            return math.inf
    worst = 0.0
    for i in range(-1, moments.shape[3]):
        rhat = _rhat(blocks, moments, lp, i, n_draws)
        # Written so that NaN counts as no agreement.
        if not rhat <= worst:
            worst = rhat
    return worst


@kernel
def _rhat(blocks, moments, lp, dimension, n_draws):
    """R-hat of one dimension, or of the log density for -1 (Gelman et al. 2013, 11.4); lengths may differ."""
    n_chains = blocks.shape[0]
    per_sequence = 1 if n_chains == 1 else 2
    n_sequences, total_count, within = 0.0, 0.0, 0.0
    means = (0.0, 0.0, 0.0)
    for chain in range(n_chains):
        for first in range(0, N_BLOCKS, per_sequence):
            sequence = (0.0, 0.0, 0.0)
            for number in range(first, first + per_sequence):
                block = blocks[chain, number]
                if in_window(block, n_draws):
                    rows = moments[chain, number]
                    if dimension < 0:
                        more = _moments_of(lp[chain, block.start : block.end])
                    else:
                        more = (
                            float(block.n_good),
                            rows[MEAN_POSITION, dimension],
                            rows[SQUARES_POSITION, dimension],
                        )
                    sequence = merge(sequence, more)
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
def _moments_of(values):
    """Return the count, mean and sum of squares of a vector."""
    moments = (0.0, 0.0, 0.0)
    for value in values:
        moments = merge(moments, (1.0, value, 0.0))
    return moments
