"""The metric that chains learn from the moments of their draws: one for all admitted, one for each other."""

from nutmill._jit import kernel
from nutmill.nuts.metric import fisher_variance
from nutmill.nuts.moments import in_window, merge
from nutmill.nuts.state import MEAN_GRADIENT, MEAN_POSITION, N_BLOCKS, SQUARES_GRADIENT, SQUARES_POSITION

FEWEST_DRAWS = 3
_ALL_ADMITTED = -1


@kernel
def learn_metrics(chains, blocks, moments, variance, n_draws):
    """Update `variance` (c, n) from the window of the first `n_draws` draws.

    Returns
    -------
    int
        The draws behind the metric of the admitted chains; below FEWEST_DRAWS they keep what they had.
    """
    n_learned = 0
    for who in range(_ALL_ADMITTED, chains.shape[0]):
        if who == _ALL_ADMITTED or not chains[who].admitted:
            n_good = _learn(chains, blocks, moments, variance, who, n_draws)
            n_learned = n_good if who == _ALL_ADMITTED else n_learned
    return n_learned


@kernel
def _takes_part(chains, blocks, number, block, who, n_draws):
    """Whether a block of chain `number` teaches chain `who`, or _ALL_ADMITTED together."""
    is_one = chains[number].admitted if who == _ALL_ADMITTED else number == who
    return is_one and in_window(blocks[number, block], n_draws)


@kernel
def _learn(chains, blocks, moments, variance, who, n_draws):
    """Give one metric to chain `who`, or to all admitted ones if `who` is negative."""
    n_good = 0
    for number in range(chains.shape[0]):
        for block in range(N_BLOCKS):
            if _takes_part(chains, blocks, number, block, who, n_draws):
                n_good += blocks[number, block].n_good
    if n_good < FEWEST_DRAWS:
        return n_good
    for i in range(variance.shape[1]):
        positions, gradients = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
        for number in range(chains.shape[0]):
            for block in range(N_BLOCKS):
                if _takes_part(chains, blocks, number, block, who, n_draws):
                    count, rows = float(blocks[number, block].n_good), moments[number, block]
                    positions = merge(positions, (count, rows[MEAN_POSITION, i], rows[SQUARES_POSITION, i]))
                    gradients = merge(gradients, (count, rows[MEAN_GRADIENT, i], rows[SQUARES_GRADIENT, i]))
        for number in range(chains.shape[0]):
            if number == who or (who == _ALL_ADMITTED and chains[number].admitted):
                variance[number, i] = fisher_variance(positions[2], gradients[2], variance[number, i])
    return n_good
