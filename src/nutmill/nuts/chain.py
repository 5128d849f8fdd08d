"""A chain through its draws: its start, warmup draws that teach, sampling draws that are kept."""

import math

from nutmill._jit import inlined_kernel, kernel
from nutmill.errors import Status
from nutmill.nuts.hamiltonian import Trajectory, vector_of
from nutmill.nuts.metric import metric_of, prepare, variance_from_gradient_into
from nutmill.nuts.recentring import is_as_written, locate, move, move_chain, write_divergence, written_into
from nutmill.nuts.state import (
    COMPARE,
    DRAW_GRADIENT,
    DRAW_LOCATION,
    DRAW_LOG_SCALE,
    DRAW_POSITION,
    GRADIENT,
    MOMENTUM,
    MOVE,
    POSITION,
    SAMPLING,
    SEARCH,
    TERMINAL,
    TRY,
)
from nutmill.nuts.transition import transition
from nutmill.nuts.turning import basis_of
from nutmill.nuts.vectors import copy_into
from nutmill.nuts.warmup import stepsize
from nutmill.nuts.warmup.gate import first_admitted, log_force
from nutmill.nuts.warmup.moments import add_draw
from nutmill.nuts.warmup.trial_coordinates import compare_chain
from nutmill.nuts.warmup.window import row_due

# A divergent trajectory must have come this far for its draw to count as a move.
_FAR = 4
# Energy errors of stable steps stay below 10. Where they are larger they have a long tail: of some fifteen draws that
# come near a divergence one diverges, so in a few hundred draws this tells of divergences as rare as one in thousands.
_ROUGH, _NEAR_DIVERGENCE = 10.0, 50.0
_NON_FINITE = int(Status.NON_FINITE)
_STEP_SIZE_NOT_FOUND = int(Status.STEP_SIZE_NOT_FOUND)


@inlined_kernel
def trajectory_of(density, sites, data, state, chain):
    """Gather the views through which chain number `chain` of the group moves."""
    return Trajectory(
        density,
        sites,
        data,
        state.chains[chain],
        state.tree[chain],
        state.rng[chain],
        state.position[chain],
        state.gradient[chain],
        metric_of(state, chain),
        state.points[chain],
        state.vectors[chain],
        state.slots[chain],
        state.momentum_sums[chain],
    )


@inlined_kernel
def start_chain(trajectory, state, number):
    """Evaluate the start, move to the proposed coordinates, guess the metric, search a step size; return the status."""
    chain = trajectory.chain
    if state.centredness.shape[1] > 0:
        copy_into(state.written, state.centredness[number])
    status, lp = trajectory.density(trajectory.position, trajectory.gradient, trajectory.data)
    chain.n_gradients += 1
    if status != 0:
        return status
    finite = math.isfinite(lp)
    for i in range(trajectory.gradient.shape[0]):
        finite = finite and math.isfinite(trajectory.gradient[i])
    if not finite:
        return _NON_FINITE
    chain.lp = lp
    if state.centredness.shape[1] > 0:
        locate(trajectory, state, number)
        move_chain(trajectory, state, number)
    variance_from_gradient_into(trajectory.gradient, trajectory.metric.variance)
    status, log_step = stepsize.search(trajectory, state.settings[0].target_accept)
    if status == _STEP_SIZE_NOT_FOUND and _is_back_where_written(trajectory, state, number):
        status, log_step = stepsize.search(trajectory, state.settings[0].target_accept)
    stepsize.restart_after_search(chain, log_step)
    return status


@kernel
def _is_back_where_written(trajectory, state, number):
    """Bring a chain back from coordinates in which no step is short enough; return whether it was in others.

    In the steps of an autoregression that explodes, as jittered coefficients let it, the least move of the first is a
    long one of the last.
    """
    centredness = state.centredness[number]
    if is_as_written(centredness, state.written):
        return False
    trajectory.chain.can_move = False
    where = state.location[number], state.log_scale[number]
    is_back = move(trajectory, centredness, state.written, basis_of(state), where)
    variance_from_gradient_into(trajectory.gradient, trajectory.metric.variance)
    return is_back


@inlined_kernel
def search_again(trajectory, target_accept):
    """Search a step size for a metric that has changed; a chain that finds none keeps what it has."""
    status, log_step = stepsize.search(trajectory, target_accept)
    if status == 0:
        trajectory.chain.log_step = log_step


@inlined_kernel
def advance_chain(trajectory, state, number, n_draws):
    """Make `n_draws` draws, fewer if the stop flag is raised; return the status."""
    chain, phase = trajectory.chain, state.group[0].phase
    settings = state.settings[0]
    if phase == SEARCH:
        search_again(trajectory, settings.target_accept)
    if phase in (TRY, MOVE):
        move_chain(trajectory, state, number)
    if phase == COMPARE:
        compare_chain(trajectory, state, number)
    is_moved = not is_as_written(state.centredness[number], state.written)
    max_depth = settings.max_treedepth if phase == SAMPLING else state.schedule[state.group[0].stage].max_treedepth
    trajectory.tree.refines = phase == SAMPLING
    prepare(trajectory.metric)
    for _ in range(n_draws):
        if state.stop[0] != 0:
            break
        statistics = _statistics_of(state, number, chain.n_draws)
        statistics.step_size_bar = math.exp(chain.log_step_bar)
        step_size = math.exp(chain.log_step) * stepsize.jitter(trajectory.rng)
        status = transition(trajectory, step_size, max_depth, statistics)
        if status < 0:
            return status
        place = _place_of(trajectory, state, number, chain.n_draws)
        if is_moved or phase != SAMPLING:  # warmup learns from locations and scales
            locate(trajectory, state, number)
        if is_moved:
            statistics.lp = written_into(trajectory, state, number, place)
        else:
            copy_into(trajectory.position, place)
        if phase == SAMPLING:
            _keep_divergence(trajectory, state, number, statistics)
        else:
            _learn(trajectory, state, number, statistics)
        chain.n_draws += 1
    return 0


@inlined_kernel
def _statistics_of(state, number, draw):
    """Find where the statistics of a draw go: to its row, or to nowhere if warmup is not kept."""
    statistics = state.unkept[number]
    if state.group[0].phase == SAMPLING:
        statistics = state.statistics[number, (draw - state.group[0].n_warmup) % state.statistics.shape[1]]
    elif state.warmup_statistics.shape[1] > 0:
        statistics = state.warmup_statistics[number, draw % state.warmup_statistics.shape[1]]
    return statistics


@inlined_kernel
def _place_of(trajectory, state, number, draw):
    """Find where a draw goes, as the model is written: to its row, or to nowhere if warmup is not kept."""
    place = vector_of(trajectory, 0, MOMENTUM)  # no longer needed
    if state.group[0].phase == SAMPLING:
        place = state.draws[number, (draw - state.group[0].n_warmup) % state.draws.shape[1]]
    elif state.warmup_draws.shape[1] > 0:
        place = state.warmup_draws[number, draw % state.warmup_draws.shape[1]]
    return place


@inlined_kernel
def _learn(trajectory, state, number, statistics):
    """Let one warmup draw move the step size and, before the terminal stage, the moments."""
    chain = trajectory.chain
    draw = chain.n_draws
    state.warmup_lp[number, draw] = statistics.lp
    units = state.variance[first_admitted(state.chains)]
    state.warmup_force[number, draw] = log_force(trajectory.gradient, units)
    state.warmup_energy[number, draw] = statistics.energy
    chain.n_warmup_divergences += statistics.diverging
    if state.group[0].phase != TERMINAL:
        _learn_moments(trajectory, state, number, statistics)
    elif statistics.diverging or statistics.max_energy_error > _ROUGH:
        log_step = math.log(statistics.step_size)
        chain.shortest_rough = min(chain.shortest_rough, log_step)
        if statistics.diverging or statistics.max_energy_error > _NEAR_DIVERGENCE:
            chain.shortest_near = min(chain.shortest_near, log_step)
        if statistics.diverging:
            chain.shortest_divergence = min(chain.shortest_divergence, log_step)
    stepsize.update(chain, statistics.acceptance_rate, state.schedule[state.group[0].stage].target_accept)


@inlined_kernel
def _learn_moments(trajectory, state, number, statistics):
    moved = abs(statistics.index_in_trajectory) > (_FAR if statistics.diverging else 0)
    if moved:
        block = 2 * (state.group[0].stage % 2)
        if trajectory.chain.n_draws >= state.blocks[number, block].end:
            block += 1
        record, position, gradient = state.blocks[number, block], trajectory.position, trajectory.gradient
        add_draw(record, state.moments[number, block], position, gradient)
        row = row_due(record, state.rows[number, block], trajectory.chain.n_draws)
        if row >= 0:
            copy_into(position, state.rows[number, block, row, DRAW_POSITION])
            copy_into(gradient, state.rows[number, block, row, DRAW_GRADIENT])
            if state.centredness.shape[1] > 0:
                copy_into(state.location[number], state.rows[number, block, row, DRAW_LOCATION])
                copy_into(state.log_scale[number], state.rows[number, block, row, DRAW_LOG_SCALE])


@inlined_kernel
def _keep_divergence(trajectory, state, number, statistics):
    """Write the divergence of a sampling draw, if it has one, where the table says."""
    chain = trajectory.chain
    draw = chain.n_draws - state.group[0].n_warmup
    if not statistics.diverging:
        return
    if state.divergences.shape[1] > 0:
        _record_divergence(trajectory, state.divergences[number], state.divergence_points[number], draw)
        if state.centredness.shape[1] > 0:
            row = chain.n_divergences % state.divergences.shape[1]
            points = state.divergence_points[number, row]
            write_divergence(trajectory, state.centredness[number], basis_of(state), points)
    chain.n_divergences += 1


@kernel
def _record_divergence(trajectory, divergences, points, draw):
    tree, row = trajectory.tree, trajectory.chain.n_divergences % divergences.shape[0]
    divergences[row].draw = draw
    divergences[row].energy_error = tree.divergence_error
    divergences[row].status = tree.status
    copy_into(vector_of(trajectory, tree.divergence_start, POSITION), points[row, 0])
    copy_into(vector_of(trajectory, tree.divergence_end, POSITION), points[row, 1])
    copy_into(vector_of(trajectory, tree.divergence_start, GRADIENT), points[row, 2])
