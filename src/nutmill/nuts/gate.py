"""The gate: which chains of a group may share what they learn, judged by their log densities."""

import math

from nutmill._jit import kernel
from nutmill.nuts import stepsize
from nutmill.nuts.moments import in_window
from nutmill.nuts.order import median, sort
from nutmill.nuts.state import N_BLOCKS
from nutmill.nuts.vectors import copy_into

# How many typical spreads of the log density a chain may lie below the better half.
_TOLERANCE = 5.0
_FEWEST_GOOD_DRAWS = 3


@kernel
def admit_chains(chains, blocks, lp, work, group):
    """Decide anew which chains are admitted; one that leaves the pool tunes its step size alone.

    Parameters
    ----------
    chains, blocks : records CHAIN (c,), BLOCK (c, 4)
    lp : (c, n_warmup) float64
        Log densities of the draws so far.
    work : (4, n_warmup or more) float64
        Overwritten.
    group : record GROUP
    """
    n_chains, n_draws = chains.shape[0], group.stage_end
    centres, spreads, ordered = work[0], work[1], work[2]
    for number in range(n_chains):
        start = _window_start(blocks[number], n_draws)
        centres[number], spreads[number] = _centre_and_spread(lp[number, start:n_draws], work[3])
        ordered[number] = centres[number]
    sort(ordered[:n_chains])
    # The lowest of the upper half: one chain in a spurious high place cannot shut out the others.
    reference = ordered[n_chains // 2]
    lowest = reference - _TOLERANCE * (math.sqrt(0.5 * group.n_dim) + median(spreads[:n_chains]))
    for number in range(n_chains):
        chain = chains[number]
        was_admitted = chain.admitted
        chain.admitted = centres[number] >= lowest and _has_moved(blocks[number], n_draws)
        if was_admitted and not chain.admitted and group.has_metric:
            stepsize.restart(chain, chain.log_step, chain.log_step)


@kernel
def _has_moved(blocks, n_draws):
    """Whether enough draws of the window are good: three, or half of them in the first, short windows."""
    n_good, n_window = 0, 0
    for block in range(N_BLOCKS):
        if in_window(blocks[block], n_draws):
            n_good += blocks[block].n_good
            n_window += blocks[block].end - blocks[block].start
    return n_good >= min(_FEWEST_GOOD_DRAWS, (n_window + 1) // 2)


@kernel
def _window_start(blocks, n_draws):
    start = n_draws
    for block in range(N_BLOCKS):
        if in_window(blocks[block], n_draws):
            start = min(start, blocks[block].start)
    return start


@kernel
def _centre_and_spread(lp, work):
    """Return the median of the log densities, and the median distance from it."""
    values = work[: lp.shape[0]]
    copy_into(lp, values)
    centre = median(values)
    for i in range(values.shape[0]):
        values[i] = abs(values[i] - centre)
    return centre, median(values)
