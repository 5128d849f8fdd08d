"""Chains that settled in a mode of negligible mass: how that is proven, and how they start anew.

Let the draws of one chain be those of a mode A, another's those of a mode B, both of a density L known up to a
constant. The logarithm of a mode's mass is E[L] + H with H the entropy within the mode. Of all densities with given
variances independent normals have the largest entropy, and by Stam's inequality (1959) it is at least that of
independent normals whose precisions are the mean squared derivatives of L. Hence, in n dimensions,

    log mass(A) / mass(B) <= E_A[L] - E_B[L] + 1/2 sum_i log(var_A(q_i) var_B(dL/dq_i)),

whatever the modes look like, with equality for independent normals. A variance is also at least the reciprocal of that
of the derivative (Cramer and Rao): the larger of the two estimates counts, so a chain that hardly moves proves nothing.
Only a mode that is lighter by far beyond what so few draws err by is left, and only if two epochs in a row say so.
Modes of comparable mass are never left: R-hat has to show them.
"""

import math

from nutmill._jit import inlined_kernel, kernel
from nutmill.nuts.state import MEAN_GRADIENT, MEAN_POSITION, N_BLOCKS
from nutmill.nuts.vectors import copy_into
from nutmill.nuts.warmup.moments import clear_block, in_window, merge, window_start

# Logarithm of a share of the mass that nobody will miss: 5 in 100 000.
_NEGLIGIBLE = -10.0
# So many draws of a chain in warmup are worth one that is independent; how many standard errors are allowed for.
_DRAWS_FOR_ONE, _ERRORS = 4.0, 3.0
_ENOUGH_EPOCHS = 2
# Rows of the room: mean energies of the halves of a window, the lower and the higher one, and logarithms of widths.
_LOWEST, _HIGHEST, _OF_POSITION, _OF_GRADIENT = range(4)


@inlined_kernel
def leave_lesser_modes(state):
    """Let chains go on where another one is, if the ends of two epochs in a row proved their modes negligible."""
    chains, n_draws, room = state.chains, state.group[0].stage_end, state.pool_work
    for number in range(chains.shape[0]):
        start = window_start(state.blocks[number], n_draws)
        energy = state.warmup_energy[number, start:n_draws]
        _measure(state.blocks[number], state.moments[number], energy, n_draws, room[:, number])
    for number in range(chains.shape[0]):
        other, _ = heaviest(number, state.blocks, state.moments.shape[3], n_draws, room)
        chains[number].n_lesser = chains[number].n_lesser + 1 if other >= 0 else 0
    for number in range(chains.shape[0]):
        if chains[number].n_lesser >= _ENOUGH_EPOCHS:
            other, log_mass = heaviest(number, state.blocks, state.moments.shape[3], n_draws, room)
            if other >= 0 and chains[other].n_lesser == 0:
                _go_on_from(state, number, other)
                chains[number].restarted_at = n_draws
                chains[number].restarted_from = other
                chains[number].log_mass = log_mass
                state.group[0].n_agreed = 0
    for number in range(chains.shape[0]):
        if chains[number].n_lesser >= _ENOUGH_EPOCHS and chains[number].restarted_at == n_draws:
            chains[number].n_lesser = 0


@kernel
def _measure(blocks, moments, energy, n_draws, out):
    """Write what the window of a chain tells of its mode into (4,) `out`."""
    half = energy.shape[0] // 2
    first, second = _mean(energy[:half]), _mean(energy[half:])
    # Should a chain still be on its way, the half speaks that is better for the mode that is to be left.
    out[_LOWEST], out[_HIGHEST] = min(first, second), max(first, second)
    out[_OF_POSITION], out[_OF_GRADIENT] = 0.0, 0.0
    for i in range(moments.shape[2]):
        position = _variance(blocks, moments, MEAN_POSITION, i, n_draws)
        gradient = _variance(blocks, moments, MEAN_GRADIENT, i, n_draws)
        out[_OF_POSITION] += 0.5 * math.log(max(position, 1.0 / gradient))
        out[_OF_GRADIENT] += 0.5 * math.log(max(gradient, 1.0 / position))


@kernel
def heaviest(number, blocks, n_dim, n_draws, room):
    """Find the chain beside whose mode that of chain `number` is lightest.

    Parameters
    ----------
    blocks : (c, 4) BLOCK
    room : (4, c or more) float64
        What `_measure` told of each chain.

    Returns
    -------
    other : int
        -1 if the mode of chain `number` is not negligible.
    log_mass : float
        The bound of the logarithm of the ratio of masses, with errors of the estimates allowed for.
    """
    found, least = -1, _NEGLIGIBLE
    for other in range(blocks.shape[0]):
        if other != number:
            n_good = min(_n_good(blocks[number], n_draws), _n_good(blocks[other], n_draws))
            error = _DRAWS_FOR_ONE * n_dim / n_good
            # An energy is -L and a kinetic one, whose mean is the same in all modes.
            log_mass = room[_HIGHEST, other] - room[_LOWEST, number] + error + _ERRORS * math.sqrt(error)
            log_mass += room[_OF_POSITION, number] + room[_OF_GRADIENT, other]
            if log_mass < least:
                found, least = other, log_mass
    return found, least


@kernel
def _mean(values):
    total = 0.0
    for value in values:
        total += value
    return total / values.shape[0]


@kernel
def _variance(blocks, moments, kind, i, n_draws):
    """Return the variance of element `i` over the window, of positions or of gradients."""
    pooled = (0.0, 0.0, 0.0)
    for number in range(N_BLOCKS):
        if in_window(blocks[number], n_draws):
            rows = moments[number]
            pooled = merge(pooled, (float(blocks[number].n_good), rows[kind, i], rows[kind + 1, i]))
    return pooled[2] / pooled[0]


@kernel
def _n_good(blocks, n_draws):
    """Return the number of draws of the window that taught."""
    total = 0.0
    for number in range(N_BLOCKS):
        if in_window(blocks[number], n_draws):
            total += blocks[number].n_good
    return total


@inlined_kernel
def _go_on_from(state, number, other):
    """Put a chain where another one is, with its metric and step size; what it has learned elsewhere it forgets."""
    mine, theirs = state.chains[number], state.chains[other]
    copy_into(state.position[other], state.position[number])
    copy_into(state.gradient[other], state.gradient[number])
    copy_into(state.variance[other], state.variance[number])
    if state.centredness.shape[1] > 0:
        copy_into(state.location[other], state.location[number])
        copy_into(state.log_scale[other], state.log_scale[number])
    mine.rank = theirs.rank
    for k in range(state.stretch.shape[1]):
        state.stretch[number, k] = state.stretch[other, k]
        copy_into(state.directions[other, k], state.directions[number, k])
    mine.lp, mine.admitted = theirs.lp, theirs.admitted
    mine.log_step, mine.log_step_bar, mine.log_step_centre = (
        theirs.log_step,
        theirs.log_step_bar,
        theirs.log_step_centre,
    )
    mine.gamma, mine.shortfall = theirs.gamma, theirs.shortfall
    mine.n_updates, mine.n_averaged = theirs.n_updates, theirs.n_averaged
    for block in range(N_BLOCKS):
        clear_block(state.blocks[number, block], state.moments[number, block], 0, 0)
