"""The gate: which chains of a group may share what they learn, judged by log densities and sizes of gradients."""

import math

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.state import N_BLOCKS
from nutmill.nuts.vectors import copy_into, median, sort
from nutmill.nuts.warmup import stepsize
from nutmill.nuts.warmup.moments import in_window, window_start

# How many typical spreads of the log density a chain may lie below the better half.
_TOLERANCE = 5.0
_FEWEST_GOOD_DRAWS = 3
# How far apart the logarithms of forces may be, and how much further the medians of few draws: median distances from
# them over the root of the number of draws.
_LARGEST_FORCE_GAP, _NOISE = math.log(10.0), 5.0


@vector_kernel
def log_force(gradient, variance):
    """Return log(g' S^2 g / n) of a gradient g and a diagonal metric S^2.

    In the same units it has about the same mean in all chains that have settled, whatever the density, because
    E[g g'] = -E[Hessian]. Where a scale is near 0 it is large, although the density is high there.
    """
    total = 0.0
    for i in range(gradient.shape[0]):
        total += variance[i] * gradient[i] * gradient[i]
    return math.log(total / gradient.shape[0])


@kernel
def first_admitted(chains):
    """Return the first chain that is admitted, 0 if none is: its diagonal is the unit of forces for the whole group."""
    for number in range(chains.shape[0]):
        if chains[number].admitted:
            return number
    return 0


@kernel
def admit_chains(chains, blocks, lp, force, work, group):
    """Decide anew which chains are admitted; one that leaves the pool tunes its step size alone.

    Members are those that were admitted, and still are.

    Parameters
    ----------
    chains, blocks : records CHAIN (c,), BLOCK (c, 4)
    lp, force : (c, n_warmup) float64
        Log densities and logarithms of forces of the draws so far.
    work : (4, n_warmup or more) float64
        Overwritten.
    group : record GROUP
    """
    n_draws = group.stage_end
    for number in range(chains.shape[0]):
        chains[number].member = chains[number].admitted
        chains[number].admitted = _has_moved(blocks[number], n_draws)
    # Gradients first: in a neck the density is high, and two chains there would shut out the others.
    _turn_away_by_force(chains, blocks, force, work, n_draws)
    _turn_away_by_density(chains, blocks, lp, work, group)
    for number in range(chains.shape[0]):
        chain = chains[number]
        if chain.member and not chain.admitted and group.has_metric:
            stepsize.restart(chain, chain.log_step, chain.log_step)
        chain.member = chain.member and chain.admitted


@kernel
def _turn_away_by_force(chains, blocks, force, work, n_draws):
    """Keep chains out whose gradients are of another size than those of the others: of those left so far."""
    n_left, spread, centres, ordered = 0, 0.0, work[0], work[2]
    for number in range(chains.shape[0]):
        if chains[number].admitted:
            start = window_start(blocks[number], n_draws)
            centre, distance = _centre_and_spread(force[number, start:n_draws], work[3])
            centres[number] = ordered[n_left] = centre
            spread = max(spread, distance / math.sqrt(n_draws - start))
            n_left += 1
    if n_left == 0:
        return
    sort(ordered[:n_left])
    # The highest of the lower half: large gradients spoil a metric more than small ones.
    reference = ordered[(n_left - 1) // 2]
    for number in range(chains.shape[0]):
        if chains[number].admitted and abs(centres[number] - reference) > _LARGEST_FORCE_GAP + _NOISE * spread:
            chains[number].admitted = False


@kernel
def _turn_away_by_density(chains, blocks, lp, work, group):
    """Keep chains out whose log density is far below that of the others: of those left so far."""
    n_left, centres, spreads, ordered = 0, work[0], work[1], work[2]
    for number in range(chains.shape[0]):
        if chains[number].admitted:
            start = window_start(blocks[number], group.stage_end)
            centre, spreads[n_left] = _centre_and_spread(lp[number, start : group.stage_end], work[3])
            centres[number] = ordered[n_left] = centre
            n_left += 1
    if n_left == 0:
        return
    sort(ordered[:n_left])
    # The lowest of the upper half: one chain in a spurious high place cannot shut out the others.
    reference = ordered[n_left // 2]
    lowest = reference - _TOLERANCE * (math.sqrt(0.5 * group.n_dim) + median(spreads[:n_left]))
    for number in range(chains.shape[0]):
        if chains[number].admitted:
            chains[number].admitted = centres[number] >= lowest


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
def _centre_and_spread(trail, work):
    """Return the median of the values, and the median distance from it."""
    values = work[: trail.shape[0]]
    copy_into(trail, values)
    centre = median(values)
    for i in range(values.shape[0]):
        values[i] = abs(values[i] - centre)
    return centre, median(values)
