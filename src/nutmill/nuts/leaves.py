"""The tree's verb that makes a leaf: one step, in as many parts as its energy needs, and the weight of where it ends.

A step that changes the energy by too much is made again in 2, 4, ... parts, as far as a neck or a wall of the density
asks for (Bou-Rabee et al. 2025); where no number of parts helps it stays one. It counts only if the way back would be
made of as many parts: else trajectories would lead into a place that they do not lead out of, and the extension ends
there, as at a U-turn.
"""

import math

from nutmill._jit import kernel
from nutmill.nuts.hamiltonian import copy_point, fill_slot, free_point, leapfrog

# What comes of a step: a leaf, the end of the extension, or that as a divergence.
SOUND, ENDED, FAILED = range(3)

MAX_ENERGY_ERROR = 1000.0
# Stable steps hardly ever change the energy by this much.
LARGEST_CHANGE = 3.0
# A step is made of at most 2^5 parts: all that were in vain are 62 gradients.
MOST_HALVINGS = 5
# In 2^2 parts a jump of the density shows: the energy changes by as much as in one.
_JUDGED_AT = 2
# Weights are relative to that of the start; further above it all are scaled down.
_LARGEST_LOG_WEIGHT = 500.0


@kernel
def leaf(trajectory, slot, forward):
    """Step once from the outer end of the slot below; the verb `leaf` of the tree."""
    tree, points = trajectory.tree, trajectory.points
    below = trajectory.slots[slot - 1]
    source = below.last if forward else below.first
    row = free_point(points)
    sign = 1 if forward else -1
    outcome = _step(trajectory, source, row, sign * tree.step_size)
    error = points[row].energy - tree.initial_energy
    # An infinite or NaN gradient makes the kinetic energy so; a log density of +inf makes the error -inf.
    if outcome == FAILED or not (-math.inf < error <= MAX_ENERGY_ERROR):
        tree.diverging = True
        tree.divergence_error = error
        if not abs(error) <= abs(tree.max_energy_error):
            tree.max_energy_error = math.inf if math.isnan(error) else error
        tree.divergence_start = source
        tree.divergence_end = row
        return False
    if outcome == ENDED:
        return False
    weight = math.exp(-error)
    if abs(error) > abs(tree.max_energy_error):
        tree.max_energy_error = error
    if tree.log_scale > 0.0 or -error > _LARGEST_LOG_WEIGHT:
        weight = _scaled_weight(trajectory, slot, -error)
    points[row].index = points[source].index + sign
    fill_slot(trajectory, slot, row, weight)
    return True


@kernel
def _step(trajectory, source, row, step_size):
    """Step from point `source` to point `row`; return SOUND, FAILED, or ENDED where the way back is another."""
    tree, points = trajectory.tree, trajectory.points
    is_finite = _leapfrogs(trajectory, source, row, row, step_size, 0)
    tree.n_leaves += 1
    if not is_finite:
        return FAILED
    # What steps of this size are like, whatever is made of this one: it is what step sizes are tuned by.
    tree.sum_acceptance += math.exp(min(tree.initial_energy - points[row].energy, 0.0))
    change = _change(points, source, row)
    if change <= LARGEST_CHANGE or not tree.refines:
        return SOUND
    return _refined_step(trajectory, source, row, step_size, change)


@kernel
def _refined_step(trajectory, source, row, step_size, change):
    """Replace point `row` by where a step in more parts ends, if one keeps the energy; what `_step` returns."""
    tree, fine = trajectory.tree, trajectory.points.shape[0] - 2
    level = _level(trajectory, source, step_size, change, MOST_HALVINGS)
    if level > 0:
        copy_point(trajectory, fine, row)
        if not _leapfrogs(trajectory, row, fine, fine, -step_size, 0):
            return _ended(tree)
        back = _change(trajectory.points, row, fine)
        if back <= LARGEST_CHANGE or _level(trajectory, row, -step_size, back, level - 1) != 0:
            return _ended(tree)
        return SOUND
    if tree.status < 0 or trajectory.points[row].energy - tree.initial_energy > MAX_ENERGY_ERROR:
        return FAILED
    if _level(trajectory, row, -step_size, change, MOST_HALVINGS) > 0:
        return _ended(tree)
    return SOUND if tree.status >= 0 else FAILED


@kernel
def _ended(tree):
    """Return ENDED, or FAILED where the density has stopped the chain; any other trouble was only tried."""
    if tree.status < 0:
        return FAILED
    tree.status = 0
    return ENDED


@kernel
def _level(trajectory, source, step_size, change, most):
    """Find the least level up to `most` at which a step of 2^level parts keeps the energy; one part changes it.

    Returns 0 if there is none; or -1 if there is no use in looking on: at a jump of the density, which parts do not
    mend, or where it is not finite. The step ends at the last point but one.
    """
    points = trajectory.points
    way, fine = points.shape[0] - 1, points.shape[0] - 2
    for level in range(1, most + 1):
        if not _leapfrogs(trajectory, source, fine, way, step_size, level):
            return -1
        finer = _change(points, source, fine)
        if finer <= LARGEST_CHANGE:
            return level
        if level == _JUDGED_AT and finer > 0.5 * change and change <= MAX_ENERGY_ERROR:
            return -1
    return 0


@kernel
def _leapfrogs(trajectory, source, target, way, step_size, level):
    """Step from point `source` to point `target` in 2^level equal parts, of which every other one ends at point `way`.

    Returns whether all energies are finite; the status of the density is in the tree.
    """
    n_parts, place = 1 << level, source
    for part in range(n_parts):
        end = target if (n_parts - part) % 2 == 1 else way
        trajectory.tree.status = leapfrog(trajectory, place, end, step_size / n_parts)
        trajectory.tree.n_steps += 1
        if trajectory.tree.status != 0 or not math.isfinite(trajectory.points[end].energy):
            trajectory.points[target].energy = trajectory.points[end].energy
            return False
        place = end
    return True


@kernel
def _change(points, one, other):
    """Return by how much the energies of two points differ."""
    return abs(points[one].energy - points[other].energy)


@kernel
def _scaled_weight(trajectory, slot, log_weight):
    """Return the weight of a new leaf in `slot`; scale those of the slots below down where it would be too large."""
    excess = log_weight - trajectory.tree.log_scale
    if excess <= _LARGEST_LOG_WEIGHT:
        return math.exp(excess)
    trajectory.tree.log_scale = log_weight
    for below in range(slot):
        trajectory.slots[below].weight *= math.exp(-excess)
    return 1.0
