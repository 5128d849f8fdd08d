"""Coordinates between centred and not: the map between them, and how chains move from one to the other.

An element of a site with location mu and scale s has, at a centredness of c, of the point with standard deviate xi,

    x = c mu + r xi,    r = sqrt(1 - c + c s^2),

which is not centred where s is small against sqrt((1 - c) / c), and centred where it is large: as if data told of the
element with that standard error. On the way to another centredness log |dx'/dx| = log r' - log r, and its own
derivative of the log density is multiplied by r / r'. Elements of no site have mu = log s = 0. What the chains of a
group learn they learn in coordinates that are theirs alone, some in another basis (`nuts.turning`); what leaves the
kernel is in those of the model as it is written (`GroupState.written`).
"""

import math

from nutmill._jit import inlined_kernel, kernel, vector_kernel
from nutmill.nuts.hamiltonian import vector_of
from nutmill.nuts.metric import variance_from_gradient_into
from nutmill.nuts.state import (
    DRAW_GRADIENT,
    DRAW_LOCATION,
    DRAW_LOG_SCALE,
    DRAW_POSITION,
    GRADIENT,
    MOMENTUM,
    MOVE,
    N_BLOCKS,
    POSITION,
    TRY,
)
from nutmill.nuts.turning import basis_of, is_turned, share_of_normal, turn, turning_elements
from nutmill.nuts.vectors import copy_into
from nutmill.nuts.warmup.moments import add_draw

# As far as a product of widths may go before its logarithm is taken: that of one more run is still a number.
_LARGEST_GROWTH, _LARGEST_LOG_GROWTH = 1e150, 300.0
# By how much a log density may differ from what the volume makes of it, more than any rounding of a sound one.
_LEAST_MISFIT, _RELATIVE_MISFIT = 1.0, 1e-3


@kernel
def width(centredness, log_scale):
    """Return what a standard deviate is multiplied by on the way to its coordinate."""
    return math.sqrt(1.0 - centredness + centredness * math.exp(2.0 * log_scale))


@kernel
def recentre_into(old, new, location, log_scale, position, out):
    """Write coordinates at the centrednesses `new` of a point that has `position` at `old`; all (n,) float64.

    Returns the logarithm of how much a volume grows on the way, log |d out / d position|.
    """
    total, growth, first = 0.0, 1.0, 0
    while first < position.shape[0]:
        if old[first] == new[first]:
            out[first] = position[first]
            first += 1
            continue
        scale, end = log_scale[first], first + 1
        # An element grows by s or 1 / s at most, so that the product over such a run is still a number.
        longest = max(1, int(_LARGEST_LOG_GROWTH / max(abs(scale), 1.0)))
        while end < min(position.shape[0], first + longest) and log_scale[end] == scale:
            end += 1
        run = slice(first, end)
        growth *= _recentre_run(math.exp(2.0 * scale), old[run], new[run], location[run], position[run], out[run])
        if not (1.0 / _LARGEST_GROWTH < growth < _LARGEST_GROWTH):
            total += math.log(growth)
            growth = 1.0
        first = end
    return total + math.log(growth)


@vector_kernel
def _recentre_run(square, old, new, location, position, out):
    """Recentre elements whose scale, squared, is `square`; return by how much a volume grows."""
    growth = 1.0
    for i in range(out.shape[0]):
        further = math.sqrt((1.0 - new[i] + new[i] * square) / (1.0 - old[i] + old[i] * square))
        moved = new[i] * location[i] + (position[i] - old[i] * location[i]) * further
        out[i] = position[i] if old[i] == new[i] else moved
        growth *= further
    return growth


@kernel
def deviate_of(row, i, centredness, basis):
    """Return the standard deviate of an element at a draw, and the gradient by it: of sites that can be turned, turned.

    `row` is one of `GroupState.rows`, and `centredness` (n,) float64 that of its coordinates.
    """
    here = width(centredness[i], row[DRAW_LOG_SCALE, i])
    deviate, gradient = (
        (row[DRAW_POSITION, i] - centredness[i] * row[DRAW_LOCATION, i]) / here,
        row[DRAW_GRADIENT, i] * here,
    )
    first, end = turning_elements(basis, i)
    if first == end or is_turned(centredness, basis.written, first, end):
        return deviate, gradient
    total, total_gradient = 0.0, 0.0
    for j in range(first, end):  # all elements have one scale, and location 0
        there = width(centredness[j], row[DRAW_LOG_SCALE, j])
        total += row[DRAW_POSITION, j] / there
        total_gradient += row[DRAW_GRADIENT, j] * there
    n, there = end - first, width(centredness[first], row[DRAW_LOG_SCALE, first])
    along_u = (1.0 if i == first else 0.0) - 1.0 / math.sqrt(n)
    deviate -= along_u * share_of_normal(n, row[DRAW_POSITION, first] / there, total)
    gradient -= along_u * share_of_normal(n, row[DRAW_GRADIENT, first] * there, total_gradient)
    return deviate, gradient


@inlined_kernel
def locate(trajectory, state, number):
    """Note location and scale of each element at the current draw of a chain."""
    if state.centredness.shape[1] > 0:
        trajectory.sites(trajectory.position, state.location[number], state.log_scale[number], trajectory.data)


@kernel
def is_as_written(centredness, written):
    """Whether a chain's coordinates are those of the model as it is written, as they are where it has no sites."""
    differ = 0
    for i in range(centredness.shape[0]):
        differ += centredness[i] != written[i]
    return differ == 0


@inlined_kernel
def written_into(trajectory, state, number, out):
    """Write the current draw of a chain, which has been located, in the coordinates of the model as it is written.

    `out` is (n,) float64. Returns the log density there.
    """
    growth = recentre_into(
        state.centredness[number],
        state.written,
        state.location[number],
        state.log_scale[number],
        trajectory.position,
        out,
    )
    turn(basis_of(state), (state.centredness[number], state.written), state.log_scale[number], out)
    return trajectory.chain.lp - growth


@kernel
def move(trajectory, centredness, proposed, basis, where):
    """Bring a chain to other centrednesses if density and gradient are finite there; return whether they are.

    The density must be what the volume makes of it, too: the steps of an autoregression that explodes give its values
    only up to roundings that explode with it.

    Parameters
    ----------
    centredness, proposed : (n,) float64
    basis : site_basis.Basis
    where : ((n,) float64, (n,) float64)
        Location and log scale of each element.
    """
    location, log_scale = where
    position, before = vector_of(trajectory, 0, POSITION), vector_of(trajectory, 0, MOMENTUM)
    copy_into(trajectory.position, position)
    copy_into(trajectory.gradient, vector_of(trajectory, 0, GRADIENT))
    copy_into(centredness, before)
    expected = trajectory.chain.lp
    expected -= recentre_into(before, proposed, location, log_scale, position, trajectory.position)
    turn(basis, (before, proposed), log_scale, trajectory.position)
    copy_into(proposed, centredness)
    status, lp = trajectory.density(trajectory.position, trajectory.gradient, trajectory.data)
    trajectory.chain.n_gradients += 1
    is_finite = status == 0 and math.isfinite(lp) and all_finite(trajectory.gradient)
    is_same = abs(lp - expected) <= _LEAST_MISFIT + _RELATIVE_MISFIT * abs(expected)
    if is_finite and is_same:
        trajectory.chain.lp = lp
    else:
        move_back(trajectory, centredness, trajectory.chain.lp)
    return is_finite and is_same


@kernel
def move_back(trajectory, centredness, lp):
    """Bring a chain back to where `move` took it from, with the log density that it had there."""
    copy_into(vector_of(trajectory, 0, POSITION), trajectory.position)
    copy_into(vector_of(trajectory, 0, GRADIENT), trajectory.gradient)
    copy_into(vector_of(trajectory, 0, MOMENTUM), centredness)
    trajectory.chain.lp = lp


@kernel
def all_finite(vector):
    """Whether all numbers of a vector are finite."""
    finite = True
    for i in range(vector.shape[0]):
        finite = finite and math.isfinite(vector[i])
    return finite


@inlined_kernel
def move_chain(trajectory, state, number):
    """Do what a chain does in the phases START, TRY and MOVE: move, or try to, with the draws that it keeps."""
    chain, phase = trajectory.chain, state.group[0].phase
    lp, centredness = chain.lp, state.centredness[number]
    where = state.location[number], state.log_scale[number]
    chain.can_move = move(trajectory, centredness, state.proposed, basis_of(state), where)
    if phase == TRY and chain.can_move:
        move_back(trajectory, centredness, lp)
    if phase == MOVE:
        old, volume, n_rows = vector_of(trajectory, 0, MOMENTUM), 0.0, 0  # the centrednesses before
        for block in range(N_BLOCKS):
            record, rows = state.blocks[number, block], state.rows[number, block]
            volume += _move_rows(trajectory, record, rows, basis_of(state), (old, centredness))
            _learn_anew(record, state.moments[number, block], rows)
            n_rows += record.n_rows
        for draw in range(chain.n_draws):  # as if the chain had been here, in the mean
            state.warmup_energy[number, draw] += volume / max(n_rows, 1)
        if not state.group[0].has_metric:
            variance_from_gradient_into(trajectory.gradient, trajectory.metric.variance)


@kernel
def _move_rows(trajectory, block, rows, basis, places):
    """Write the draws of a block in other coordinates; lose what is not finite there.

    Returns the sum over draws of the logarithm of how much a volume grows.
    """
    old, new = places
    n_rows, volume = block.n_rows, 0.0
    block.n_rows = 0
    for number in range(n_rows):
        kept, position = rows[block.n_rows], vector_of(trajectory, 1, POSITION)
        if block.n_rows < number:
            for kind in range(rows.shape[1]):
                copy_into(rows[number, kind], kept[kind])
        copy_into(kept[DRAW_POSITION], position)
        growth = recentre_into(old, new, kept[DRAW_LOCATION], kept[DRAW_LOG_SCALE], position, kept[DRAW_POSITION])
        turn(basis, places, kept[DRAW_LOG_SCALE], kept[DRAW_POSITION])
        status, lp = trajectory.density(kept[DRAW_POSITION], kept[DRAW_GRADIENT], trajectory.data)
        trajectory.chain.n_gradients += 1
        if status == 0 and math.isfinite(lp) and all_finite(kept[DRAW_GRADIENT]):
            volume += growth
            block.n_rows += 1
    return volume


@kernel
def _learn_anew(block, moments, rows):
    """Forget what a block has learned from its draws, and learn it from those that it keeps."""
    moments[:, :] = 0.0
    block.n_good = 0
    for number in range(block.n_rows):
        add_draw(block, moments, rows[number, DRAW_POSITION], rows[number, DRAW_GRADIENT])


@kernel
def write_divergence(trajectory, centredness, basis, points):
    """Write the start and end of a divergent step, and the gradient at the start, as the model is written."""
    location, log_scale = vector_of(trajectory, 0, POSITION), vector_of(trajectory, 0, MOMENTUM)
    old = vector_of(trajectory, 0, GRADIENT)
    for end in range(2):
        location[:] = 0.0
        log_scale[:] = 0.0
        trajectory.sites(points[end], location, log_scale, trajectory.data)
        copy_into(points[end], old)
        recentre_into(centredness, basis.written, location, log_scale, old, points[end])
        turn(basis, (centredness, basis.written), log_scale, points[end])
    copy_into(centredness, old)
    copy_into(basis.written, centredness)
    trajectory.density(points[0], points[2], trajectory.data)
    copy_into(old, centredness)


@kernel
def may_all_move(chains):
    """Whether each chain of a group has found density and gradient finite where it is to go."""
    can_all = True
    for number in range(chains.shape[0]):
        can_all = can_all and chains[number].can_move
    return can_all
