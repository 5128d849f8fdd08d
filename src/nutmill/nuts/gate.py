"""The gate: which chains of a group may share what they learn, judged by their log densities alone (SAMPLER.md 2)."""

import math

from nutmill._jit import kernel
from nutmill.nuts import stepsize
from nutmill.nuts.moments import in_window
from nutmill.nuts.order import median, sort
from nutmill.nuts.state import N_BLOCKS

# How many typical spreads of the log density a chain may lie below the better half.
_TOLERANCE = 5.0
_FEWEST_GOOD_DRAWS = 3


@kernel
def admit_chains(state, n_draws):
    """Decide anew which chains are admitted; one that leaves the pool adapts its step size alone from there on."""
    n_chains, n_dim = state.position.shape
    centres, spreads, ordered = state.pool_work[0], state.pool_work[1], state.pool_work[2]
    for chain in range(n_chains):
        centres[chain], spreads[chain] = _centre_and_spread(state, chain, n_draws)
        ordered[chain] = centres[chain]
    sort(ordered[:n_chains])
    # The lowest of the upper half: one chain in a spurious high place cannot shut out the others.
    reference = ordered[n_chains // 2]
    lowest = reference - _TOLERANCE * (math.sqrt(0.5 * n_dim) + median(spreads[:n_chains]))
    for number in range(n_chains):
        chain = state.chains[number]
        was_admitted = chain.admitted
        chain.admitted = centres[number] >= lowest and _has_moved(state, number, n_draws)
        if was_admitted and not chain.admitted and state.group[0].has_metric:
            stepsize.restart(chain, chain.log_step, chain.log_step)


@kernel
def _has_moved(state, chain, n_draws):
    """Whether enough draws of the window are good: three, and half of them in the first, shorter windows."""
    n_good, n_window = 0, 0
    for block in range(N_BLOCKS):
        if in_window(state.blocks[chain, block], n_draws):
            n_good += state.blocks[chain, block].n_good
            n_window += state.blocks[chain, block].end - state.blocks[chain, block].start
    return n_good >= min(_FEWEST_GOOD_DRAWS, (n_window + 1) // 2)


@kernel
def _centre_and_spread(state, chain, n_draws):
    """Return the median of the log densities in the window, and the median distance from it."""
    start = n_draws
    for block in range(N_BLOCKS):
        if in_window(state.blocks[chain, block], n_draws):
            start = min(start, state.blocks[chain, block].start)
    values = state.pool_work[3][: n_draws - start]
    values[:] = state.warmup_lp[chain, start:n_draws]
    centre = median(values)
    for i in range(values.shape[0]):
        values[i] = abs(values[i] - centre)
    return centre, median(values)
