"""The trajectory of one chain: leapfrog steps, energies, the U-turn rule; the tree's verbs on real points.

Points live in a pool of rows and sub-trees hold row numbers, so that merging sub-trees moves no vectors.
"""

import math
from typing import NamedTuple

import numpy as np

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.metric import Metric, draw_momentum_into, multiply_into
from nutmill.nuts.rng import uniform
from nutmill.nuts.state import ACCELERATION, GRADIENT, MOMENTUM, POSITION, VELOCITY
from nutmill.nuts.tree import weigh
from nutmill.nuts.vectors import add_in_place, copy_into

MAX_ENERGY_ERROR = 1000.0


class Trajectory(NamedTuple):
    """What a chain needs to move, all views into the arrays of its group (`state.GroupState`)."""

    density: object  # njit function (position, gradient, data) -> (status, lp)
    sites: object  # njit function (position, location, log_scale, data) -> status
    data: int  # an address that only these two read
    chain: np.void
    tree: np.void
    rng: np.ndarray  # (4,) uint64
    position: np.ndarray  # (n,) float64
    gradient: np.ndarray  # (n,) float64
    metric: Metric
    points: np.ndarray  # (n_points,) POINT
    vectors: np.ndarray  # (n_points, 5, n) float64
    slots: np.ndarray  # (n_slots,) SLOT
    momentum_sums: np.ndarray  # (n_slots, n) float64


# LLVM vectorises a loop only if at most eight pairs of its vectors could overlap, hence several short loops.
@vector_kernel
def _kick_into(half, momentum, gradient, out):
    for i in range(out.shape[0]):
        out[i] = momentum[i] + half * gradient[i]


@vector_kernel
def _kick_and_drift_into(step_size, old, new):
    """Advance the velocity by half a step and the position by a whole one; `old` and `new` are points."""
    half = 0.5 * step_size
    for i in range(new.shape[1]):
        velocity = old[VELOCITY, i] + half * old[ACCELERATION, i]
        new[VELOCITY, i] = velocity
        new[POSITION, i] = old[POSITION, i] + step_size * velocity


@vector_kernel
def _kick_in_place(half, point):
    """Advance momentum and velocity by half a step; return the kinetic energy."""
    twice = 0.0
    for i in range(point.shape[1]):
        momentum = point[MOMENTUM, i] + half * point[GRADIENT, i]
        velocity = point[VELOCITY, i] + half * point[ACCELERATION, i]
        point[MOMENTUM, i] = momentum
        point[VELOCITY, i] = velocity
        twice += momentum * velocity
    return 0.5 * twice


@kernel
def begin(trajectory, step_size):
    """Put the current draw with a fresh momentum into point 0 and slot 0."""
    tree, start = trajectory.tree, trajectory.vectors[0]
    copy_into(trajectory.position, start[POSITION])
    copy_into(trajectory.gradient, start[GRADIENT])
    multiply_into(trajectory.metric, start[GRADIENT], start[ACCELERATION])
    draw_momentum_into(trajectory.metric, trajectory.rng, start[MOMENTUM], start[VELOCITY])
    tree.step_size = step_size
    tree.initial_energy = _kick_in_place(0.0, start) - trajectory.chain.lp
    tree.sum_acceptance = 0.0
    tree.max_energy_error = 0.0
    tree.n_steps = 0
    tree.status = 0
    tree.diverging = False
    for row in range(trajectory.points.shape[0]):
        trajectory.points[row].n_references = 0
    trajectory.points[0].lp = trajectory.chain.lp
    trajectory.points[0].energy = tree.initial_energy
    trajectory.points[0].index = 0
    _fill_slot(trajectory, 0, 0, 0.0)


@kernel
def leapfrog(trajectory, source, target, step_size):
    """Step from point `source` to point `target`; return the status of the density.

    One gradient and one multiplication by the metric: the velocity M^-1 p is carried along with the momentum.
    """
    old, new = trajectory.vectors[source], trajectory.vectors[target]
    _kick_into(0.5 * step_size, old[MOMENTUM], old[GRADIENT], new[MOMENTUM])
    _kick_and_drift_into(step_size, old, new)
    status, lp = trajectory.density(new[POSITION], new[GRADIENT], trajectory.data)
    multiply_into(trajectory.metric, new[GRADIENT], new[ACCELERATION])
    kinetic_energy = _kick_in_place(0.5 * step_size, new)
    trajectory.points[target].lp = lp
    trajectory.points[target].energy = kinetic_energy - lp
    return status


@kernel
def _free_point(points):
    row = 0
    while points[row].n_references > 0:
        row += 1
    return row


@kernel
def _fill_slot(trajectory, slot, row, log_weight):
    """Make a tree of the single point `row`."""
    leaf = trajectory.slots[slot]
    leaf.first = leaf.last = leaf.chosen = row
    leaf.log_weight = log_weight
    trajectory.points[row].n_references = 3
    copy_into(trajectory.vectors[row, MOMENTUM], trajectory.momentum_sums[slot])


@kernel
def leaf(trajectory, slot, forward):
    """Step once from the outer end of the slot below; the verb `leaf` of the tree."""
    tree, points = trajectory.tree, trajectory.points
    below = trajectory.slots[slot - 1]
    source = below.last if forward else below.first
    row = _free_point(points)
    sign = 1 if forward else -1
    status = leapfrog(trajectory, source, row, sign * tree.step_size)
    tree.n_steps += 1
    error = points[row].energy - tree.initial_energy
    # An infinite or NaN gradient makes the kinetic energy so; a log density of +inf makes the error -inf.
    if status != 0 or not (-math.inf < error <= MAX_ENERGY_ERROR):
        tree.status = status
        tree.diverging = True
        tree.divergence_error = error
        tree.divergence_start = source
        tree.divergence_end = row
        return False
    tree.sum_acceptance += math.exp(-max(error, 0.0))
    if abs(error) > abs(tree.max_energy_error):
        tree.max_energy_error = error
    points[row].index = points[source].index + sign
    _fill_slot(trajectory, slot, row, -error)
    return True


@vector_kernel
def _ends_turn(sum_a, sum_b, first, last):
    """Whether the momenta of a and b together point backwards at the first or the last velocity."""
    at_first, at_last = 0.0, 0.0
    for i in range(sum_a.shape[0]):
        momentum = sum_a[i] + sum_b[i]
        at_first += momentum * first[i]
        at_last += momentum * last[i]
    return at_first <= 0.0 or at_last <= 0.0


@kernel
def is_turning(trajectory, earlier, later, has_inner_ends):
    """Betancourt's rule with Stan's two cross checks (SAMPLER.md 2); the verb `is_turning` of the tree."""
    a, b = trajectory.slots[earlier], trajectory.slots[later]
    sum_a, sum_b = trajectory.momentum_sums[earlier], trajectory.momentum_sums[later]
    first, last = trajectory.vectors[a.first], trajectory.vectors[b.last]
    if _ends_turn(sum_a, sum_b, first[VELOCITY], last[VELOCITY]):
        return True
    if not has_inner_ends:
        return False
    # Each half together with the next point of the other must not turn either.
    inner_a, inner_b = trajectory.vectors[a.last], trajectory.vectors[b.first]
    return _ends_turn(sum_a, inner_b[MOMENTUM], first[VELOCITY], inner_b[VELOCITY]) or _ends_turn(
        inner_a[MOMENTUM], sum_b, inner_a[VELOCITY], last[VELOCITY]
    )


@kernel
def combine(trajectory, older, newer, forward, biased):
    """Merge slot `newer` into slot `older`; the verb `combine` of the tree."""
    points = trajectory.points
    old, new = trajectory.slots[older], trajectory.slots[newer]
    log_weight, probability = weigh(old.log_weight, new.log_weight, biased)
    old.log_weight = log_weight
    if uniform(trajectory.rng) < probability:
        points[old.chosen].n_references -= 1
        old.chosen = new.chosen
    else:
        points[new.chosen].n_references -= 1
    if forward:
        points[old.last].n_references -= 1
        points[new.first].n_references -= 1
        old.last = new.last
    else:
        points[old.first].n_references -= 1
        points[new.last].n_references -= 1
        old.first = new.first
    add_in_place(trajectory.momentum_sums[older], trajectory.momentum_sums[newer])
