"""The metric that chains learn from their draws: one for all admitted, one for each other."""

from nutmill._jit import inlined_kernel, kernel
from nutmill.nuts.metric import direction_into, fisher_variance
from nutmill.nuts.state import MEAN_GRADIENT, MEAN_POSITION, N_BLOCKS, SQUARES_GRADIENT, SQUARES_POSITION
from nutmill.nuts.warmup.low_rank import proven_rank, room_of
from nutmill.nuts.warmup.moments import in_window, merge
from nutmill.nuts.warmup.window import window_of

FEWEST_DRAWS = 3
_ALL_ADMITTED = -1


@inlined_kernel
def learn_metrics(state, n_draws):
    """Update the metrics of a group from the window of the first `n_draws` draws.

    Returns how many draws are behind the metric of the admitted chains; below FEWEST_DRAWS they keep what they had.
    """
    chains = state.chains
    n_learned = 0
    for who in range(_ALL_ADMITTED, chains.shape[0]):
        if who == _ALL_ADMITTED or not chains[who].admitted:
            for number in range(chains.shape[0]):
                chains[number].member = chains[number].admitted if who == _ALL_ADMITTED else number == who
            n_good = _learn_variance(chains, state.blocks, state.moments, state.variance, n_draws)
            n_learned = n_good if who == _ALL_ADMITTED else n_learned
            if n_good >= FEWEST_DRAWS and state.directions.shape[1] > 0:
                _learn_directions(state, n_draws)
    return n_learned


@kernel
def _learn_variance(chains, blocks, moments, variance, n_draws):
    """Give one diagonal to all members; return the number of draws behind it."""
    n_good = 0
    for number in range(chains.shape[0]):
        for block in range(N_BLOCKS):
            if chains[number].member and in_window(blocks[number, block], n_draws):
                n_good += blocks[number, block].n_good
    if n_good < FEWEST_DRAWS:
        return n_good
    for i in range(variance.shape[1]):
        positions, gradients = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
        for number in range(chains.shape[0]):
            for block in range(N_BLOCKS):
                if chains[number].member and in_window(blocks[number, block], n_draws):
                    count, rows = float(blocks[number, block].n_good), moments[number, block]
                    positions = merge(positions, (count, rows[MEAN_POSITION, i], rows[SQUARES_POSITION, i]))
                    gradients = merge(gradients, (count, rows[MEAN_GRADIENT, i], rows[SQUARES_GRADIENT, i]))
        for number in range(chains.shape[0]):
            if chains[number].member:
                variance[number, i] = fisher_variance(positions[2], gradients[2], variance[number, i])
    return n_good


@inlined_kernel
def _learn_directions(state, n_draws):
    """Give the same directions to all members, which have the same diagonal."""
    chains, room, leader = state.chains, room_of(state), -1
    for number in range(chains.shape[0]):
        if chains[number].member and leader < 0:
            leader = number
    rank = proven_rank(window_of(state, n_draws), state.variance[leader], room)
    for number in range(chains.shape[0]):
        if chains[number].member:
            chains[number].rank = rank
            state.directions[number, rank:, :] = 0.0
            state.stretch[number, rank:] = 1.0
            for k in range(rank):
                state.stretch[number, k] = room.stretch[k]
                direction_into(state.variance[number], room.found[k], state.directions[number, k])
