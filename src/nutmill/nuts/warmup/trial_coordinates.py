"""How coordinates of processes are chosen: by gradients of some draws, written in coordinates of several centrednesses.

The elements of a random walk are sites whose locations are their predecessors, so what one of them costs depends on the
centredness of all: no closed form tells it from a draw alone (`centredness`). A walk has one number q for all of
its elements, how much data tell of an element beside what a step of usual size does; q = 0 are its steps, infinity its
values. Of a walk with steps of scale s whose values are seen with information J each, coordinates

    x_t = c v_(t-1) + r e_t,    c^2 / (1 - c) = J,

are as good as independent, and of one size, whatever s is: v_t is then (1 - K) v_(t-1) + (s / r) x_t with K = c s / r,
and K^2 / (1 - K) is s^2 J or nearly so, as the gain of the Kalman filter that has settled.
"""

import math

from nutmill._jit import inlined_kernel, kernel
from nutmill.nuts.hamiltonian import vector_of
from nutmill.nuts.recentring import all_finite, recentre_into
from nutmill.nuts.state import (
    BY_LARGEST,
    DRAW_LOCATION,
    DRAW_LOG_SCALE,
    DRAW_POSITION,
    GRADIENT,
    MEAN_GRADIENT,
    MEAN_POSITION,
    MOMENTUM,
    N_BLOCKS,
    N_TRIED,
    POSITION,
    SQUARES_GRADIENT,
    SQUARES_POSITION,
)
from nutmill.nuts.turning import basis_of, turn
from nutmill.nuts.vectors import copy_into
from nutmill.nuts.warmup.centredness import LEAST_GAIN, TOO_MUCH, WIDEST_LOG_SCALE, is_joint
from nutmill.nuts.warmup.moments import add_draw, clear_block, in_window, merge
from nutmill.nuts.warmup.window import window_of

# What is compared: q = 0, ten values a factor of four apart, infinity. Coordinates are good within a factor of three.
_FIRST, _LOG_FACTOR = 1e-4, math.log(4.0)
# Draws of each block that are tried: each takes a gradient for every value.
_DRAWS_PER_BLOCK = 6
# Draws that each half must have.
_FEWEST = 8


@kernel
def tried_centredness(number, log_scale):
    """Return the centredness of an element with a usual log scale for the value of q of a number."""
    if number == 0:
        return 0.0
    if number == N_TRIED - 1:
        return 1.0
    information = _FIRST * math.exp((number - 1) * _LOG_FACTOR - 2.0 * log_scale)
    return 2.0 / (1.0 + math.sqrt(1.0 + 4.0 / information))


@inlined_kernel
def compare_chain(trajectory, state, number):
    """Do what a chain does in the phase COMPARE: write some of its draws in the coordinates of each value of q.

    Moments of these and their gradients go to `trials`; the last ones are of the draws as they are.
    """
    centredness, old = state.centredness[number], vector_of(trajectory, 0, MOMENTUM)
    copy_into(centredness, old)
    for tried in range(N_TRIED + 1):
        for half in range(2):
            clear_block(state.trial_blocks[number, half, tried], state.trials[number, half, tried], 0, 0)
        for i in range(old.shape[0]):
            if is_joint(state.joint[i]):
                other = tried_centredness(tried, state.usual_log_scale[i])
                centredness[i] = other if tried < N_TRIED else old[i]
        for block in range(N_BLOCKS):
            record, rows = state.blocks[number, block], state.rows[number, block]
            if in_window(record, state.group[0].stage_end):
                into = state.trial_blocks[number, block % 2, tried]
                moments = state.trials[number, block % 2, tried]
                where = (old, centredness), basis_of(state)
                _try_rows(trajectory, where, rows[: record.n_rows], into, moments)
    copy_into(old, centredness)


@kernel
def _try_rows(trajectory, where, rows, into, moments):
    """Add some draws and their gradients to moments, in other coordinates; count in `n_rows` those not finite there."""
    (old, new), basis = where
    position, gradient = vector_of(trajectory, 1, POSITION), vector_of(trajectory, 1, GRADIENT)
    stride = max(1, (rows.shape[0] + _DRAWS_PER_BLOCK - 1) // _DRAWS_PER_BLOCK)
    for number in range(rows.shape[0]):
        row = rows[number]
        if number % stride != 0:
            continue
        recentre_into(old, new, row[DRAW_LOCATION], row[DRAW_LOG_SCALE], row[DRAW_POSITION], position)
        turn(basis, (old, new), row[DRAW_LOG_SCALE], position)
        status, lp = trajectory.density(position, gradient, trajectory.data)
        trajectory.chain.n_gradients += 1
        if status == 0 and math.isfinite(lp) and all_finite(gradient):
            add_draw(into, moments, position, gradient)
        else:
            into.n_rows += 1


@inlined_kernel
def choose_compared(state):
    """Add to `proposed` what sites of joint elements want; return whether it is another place than where chains are."""
    n_sites, leader, moves = 0, -1, False
    for number in range(state.chains.shape[0]):
        if state.chains[number].member and leader < 0:
            leader = number
    for i in range(state.sites.shape[0]):
        n_sites = max(n_sites, state.sites[i] + 1)
    window, trials = window_of(state, state.group[0].stage_end), (state.trial_blocks, state.trials)
    for site in range(n_sites):
        n, last = _sums_into(site, state.chains, (state.sites, state.joint), trials, state.pool_work)
        if n > 0:
            _add_necks(_spread_of(window, state.sites, last, state.joint[last] == BY_LARGEST), n, state.pool_work)
            chosen = _best_of(n, state.pool_work)
            for i in range(state.sites.shape[0]):
                if chosen < N_TRIED and state.sites[i] == site:
                    state.proposed[i] = tried_centredness(chosen, state.usual_log_scale[i])
    for i in range(state.sites.shape[0]):
        moves = moves or state.proposed[i] != state.centredness[leader, i]
    return moves


@kernel
def _sums_into(site, chains, elements, trials, work):
    """Write what each value costs a site in the eyes of each half; return its elements and the last one."""
    sites, joint = elements
    n, last = 0, 0
    for half in range(2):
        for tried in range(N_TRIED + 1):
            work[half, tried] = 0.0
    for i in range(sites.shape[0]):
        if sites[i] == site and is_joint(joint[i]):
            n, last = n + 1, i
            for tried in range(N_TRIED + 1):
                for half in range(2):
                    work[half, tried] += _loss(chains, trials, half, tried, i)
    return n, last


@kernel
def _spread_of(window, sites, last, by_largest):
    """Return the variance over the window of the log scale of a site's last element, or of that with the largest."""
    highest, spread = -math.inf, 0.0
    for i in range(0 if by_largest else last, last + 1):
        if sites[i] == sites[last]:
            mean, variance = _of_log_scale(window, i)
            if mean > highest:
                highest, spread = mean, variance
    return spread


@kernel
def _of_log_scale(window, i):
    """Return mean and variance of the log scale of an element over the window."""
    count, mean, squares = 0, 0.0, 0.0
    for number in range(window.chains.shape[0]):
        for block in range(N_BLOCKS):
            record = window.blocks[number, block]
            if window.chains[number].member and in_window(record, window.n_draws):
                for k in range(record.n_rows):
                    value = window.rows[number, block, k, DRAW_LOG_SCALE, i]
                    count += 1
                    from_mean = value - mean
                    mean += from_mean / count
                    squares += from_mean * (value - mean)
    return mean, squares / max(count, 1)


@kernel
def _add_necks(spread, n, work):
    """Add what no draw may have met yet: values have a neck where the scale comes near 0 (`centredness`)."""
    for half in range(2):
        work[half, N_TRIED - 1] += n * spread * spread
        for tried in range(1, N_TRIED):
            if spread > WIDEST_LOG_SCALE**2:
                work[half, tried] = TOO_MUCH


@kernel
def _best_of(n, losses):
    """Return the number of the value that a site of n elements should take; N_TRIED: it stays as it is.

    What one half of the chains chooses the other half must find better, and the other way round.
    """
    best, least, are_enough = N_TRIED, math.inf, True
    for half in range(2):
        chosen = 0
        for tried in range(N_TRIED):
            if losses[half, tried] < losses[half, chosen]:
                chosen = tried
        are_enough = are_enough and losses[1 - half, N_TRIED] - losses[1 - half, chosen] > LEAST_GAIN * n
    if are_enough:
        for tried in range(N_TRIED):
            if losses[0, tried] + losses[1, tried] < least:
                best, least = tried, losses[0, tried] + losses[1, tried]
    return best


@kernel
def _loss(chains, trials, half, tried, i):
    """Return what an element costs in the eyes of one half of the chains, or of every other block of a single one."""
    blocks, moments = trials
    n_members, place, n_bad = 0, 0, 0
    position, gradient = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    for number in range(chains.shape[0]):
        n_members += chains[number].member
    for number in range(chains.shape[0]):
        if chains[number].member:
            for part in range(2):
                if (place if n_members > 1 else part) % 2 == half:
                    found, count = moments[number, part, tried], float(blocks[number, part, tried].n_good)
                    n_bad += blocks[number, part, tried].n_rows
                    position = merge(position, (count, found[MEAN_POSITION, i], found[SQUARES_POSITION, i]))
                    gradient = merge(gradient, (count, found[MEAN_GRADIENT, i], found[SQUARES_GRADIENT, i]))
            place += 1
    if n_bad > 0 or position[0] < _FEWEST:
        return TOO_MUCH
    loss = 0.5 * math.log(position[2] / position[0] * (gradient[2] / gradient[0]))
    return loss if math.isfinite(loss) else TOO_MUCH
