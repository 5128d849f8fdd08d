"""The trajectory of one chain: leapfrog steps, energies, the U-turn rule; two of the tree's verbs on real points.

Points live in a pool of rows and sub-trees hold row numbers, so that merging sub-trees moves no vectors.
"""

from typing import NamedTuple

import numpy as np

from nutmill._jit import inlined_kernel, kernel, vector_kernel
from nutmill.nuts.metric import Metric, add_along, along_into, draw_momentum_into
from nutmill.nuts.rng import uniform
from nutmill.nuts.state import GRADIENT, MOMENTUM, POSITION
from nutmill.nuts.tree import weigh
from nutmill.nuts.vectors import copy_into


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
    vectors: np.ndarray  # (n_points, 3, n + rank or more) float64
    slots: np.ndarray  # (n_slots,) SLOT
    momentum_sums: np.ndarray  # (n_slots, n + rank or more) float64


@inlined_kernel
def vector_of(trajectory, row, kind):
    """View a vector of a point, (n,) float64; of points that are in no tree it is room for anything."""
    return trajectory.vectors[row, kind, : trajectory.position.shape[0]]


@vector_kernel
def _kick_and_drift_into(step_size, weights, old, new):
    """Advance the momentum by half a step and the position by a whole one; `old` and `new` are points.

    Behind the positions, where momenta have what lies along directions, it writes what nobody reads.
    """
    half = 0.5 * step_size
    for i in range(weights.shape[0]):
        momentum = old[MOMENTUM, i] + half * old[GRADIENT, i]
        new[MOMENTUM, i] = momentum
        new[POSITION, i] = old[POSITION, i] + step_size * weights[i] * momentum


@vector_kernel
def _kick_in_place(half, weights, point):
    """Advance the momentum by half a step; return the kinetic energy."""
    twice = 0.0
    for i in range(weights.shape[0]):
        momentum = point[MOMENTUM, i] + half * point[GRADIENT, i]
        point[MOMENTUM, i] = momentum
        twice += weights[i] * momentum * momentum
    return 0.5 * twice


@kernel
def begin(trajectory, step_size):
    """Put the current draw with a fresh momentum into point 0 and slot 0; the metric is prepared."""
    tree, metric, start = trajectory.tree, trajectory.metric, trajectory.vectors[0]
    copy_into(trajectory.position, vector_of(trajectory, 0, POSITION))
    copy_into(trajectory.gradient, vector_of(trajectory, 0, GRADIENT))
    along_into(metric.directions, start[GRADIENT])
    draw_momentum_into(metric, trajectory.rng, start[MOMENTUM], vector_of(trajectory, 1, POSITION))
    tree.step_size = step_size
    tree.initial_energy = _kick_in_place(0.0, metric.weights, start) - trajectory.chain.lp
    tree.log_scale = 0.0
    tree.sum_acceptance = 0.0
    tree.max_energy_error = 0.0
    tree.n_steps = 0
    tree.n_leaves = 0
    tree.status = 0
    tree.diverging = False
    for row in range(trajectory.points.shape[0]):
        trajectory.points[row].n_references = 0
    trajectory.points[0].lp = trajectory.chain.lp
    trajectory.points[0].energy = tree.initial_energy
    trajectory.points[0].index = 0
    fill_slot(trajectory, 0, 0, 1.0)


@kernel
def leapfrog(trajectory, source, target, step_size):
    """Step from point `source` to point `target`; return the status of the density.

    One gradient, and for each direction of the metric one inner product with it and one multiple added to the position.
    """
    metric, new = trajectory.metric, trajectory.vectors[target]
    position, gradient = vector_of(trajectory, target, POSITION), vector_of(trajectory, target, GRADIENT)
    _kick_and_drift_into(step_size, metric.weights, trajectory.vectors[source], new)
    add_along(metric, step_size, new[MOMENTUM], position)
    status, lp = trajectory.density(position, gradient, trajectory.data)
    along_into(metric.directions, new[GRADIENT])
    kinetic_energy = _kick_in_place(0.5 * step_size, metric.weights, new)
    trajectory.points[target].lp = lp
    trajectory.points[target].energy = kinetic_energy - lp
    return status


@kernel
def copy_point(trajectory, source, target):
    """Make point `target` what point `source` is."""
    trajectory.points[target].lp = trajectory.points[source].lp
    trajectory.points[target].energy = trajectory.points[source].energy
    for kind in (POSITION, MOMENTUM, GRADIENT):
        copy_into(trajectory.vectors[source, kind], trajectory.vectors[target, kind])


@kernel
def free_point(points):
    """Return the row of a point that no sub-tree refers to."""
    row = 0
    while points[row].n_references > 0:
        row += 1
    return row


@kernel
def fill_slot(trajectory, slot, row, weight):
    """Make a tree of the single point `row`."""
    leaf = trajectory.slots[slot]
    leaf.first = leaf.last = leaf.chosen = row
    leaf.weight = weight
    trajectory.points[row].n_references = 3


class _Ends(NamedTuple):
    """Momenta at the ends of two adjacent sub-trees, (n + rank,) each: outer ends and those where they meet."""

    older_outer: np.ndarray
    older_inner: np.ndarray
    newer_inner: np.ndarray
    newer_outer: np.ndarray


@vector_kernel
def _leaves_turn(weights, older, newer, total):
    """Write the sum of two momenta; return whether it points backwards at one of them."""
    at_older, at_newer = 0.0, 0.0
    for i in range(weights.shape[0]):
        both = older[i] + newer[i]
        total[i] = both
        at_older += both * weights[i] * older[i]
        at_newer += both * weights[i] * newer[i]
    return at_older <= 0.0 or at_newer <= 0.0


@vector_kernel
def _trees_turn(weights, older, newer, ends):
    """Add to the summed momenta of a sub-tree those of another; return whether what was added turns anywhere.

    The union must not, nor each half together with the next point of the other.
    """
    whole_at_older, whole_at_newer = 0.0, 0.0
    older_at_outer, older_at_inner, newer_at_inner, newer_at_outer = 0.0, 0.0, 0.0, 0.0
    for i in range(weights.shape[0]):
        with_next, with_last, both = older[i] + ends.newer_inner[i], ends.older_inner[i] + newer[i], older[i] + newer[i]
        older[i] = both
        at_older, at_newer = weights[i] * ends.older_outer[i], weights[i] * ends.newer_outer[i]
        whole_at_older += both * at_older
        whole_at_newer += both * at_newer
        older_at_outer += with_next * at_older
        older_at_inner += with_next * weights[i] * ends.newer_inner[i]
        newer_at_inner += with_last * weights[i] * ends.older_inner[i]
        newer_at_outer += with_last * at_newer
    whole_turns = whole_at_older <= 0.0 or whole_at_newer <= 0.0
    older_turns = older_at_outer <= 0.0 or older_at_inner <= 0.0
    return whole_turns or older_turns or newer_at_inner <= 0.0 or newer_at_outer <= 0.0


@kernel
def is_turning(trajectory, older, newer, forward, has_inner_ends):
    """Betancourt's rule with Stan's two cross checks (`docs/theory.md`); the verb `is_turning` of the tree.

    On the way momenta are summed, in place of those of `older`.
    """
    sums, weights = trajectory.momentum_sums, trajectory.metric.weights
    old, new = trajectory.slots[older], trajectory.slots[newer]
    outer = trajectory.vectors[old.first if forward else old.last, MOMENTUM]
    newer_outer = trajectory.vectors[new.last if forward else new.first, MOMENTUM]
    if not has_inner_ends:
        return _leaves_turn(weights, outer, newer_outer, sums[older])
    inner = trajectory.vectors[old.last if forward else old.first, MOMENTUM]
    newer_inner = trajectory.vectors[new.first if forward else new.last, MOMENTUM]
    return _trees_turn(weights, sums[older], sums[newer], _Ends(outer, inner, newer_inner, newer_outer))


@kernel
def combine(trajectory, older, newer, forward, biased):
    """Merge slot `newer` into slot `older`; the verb `combine` of the tree."""
    points = trajectory.points
    old, new = trajectory.slots[older], trajectory.slots[newer]
    old.weight, probability = weigh(old.weight, new.weight, biased)
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
