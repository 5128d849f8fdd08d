"""One draw of NUTS: a trajectory from the current draw, the next draw from it, and its statistics."""

from nutmill._jit import inlined_kernel
from nutmill.nuts.hamiltonian import begin, combine, is_turning, vector_of
from nutmill.nuts.leaves import leaf
from nutmill.nuts.rng import next_word
from nutmill.nuts.state import GRADIENT, POSITION
from nutmill.nuts.tree import COMPLETE, Verbs, grow
from nutmill.nuts.vectors import copy_into


@inlined_kernel
def transition(trajectory, step_size, max_depth, statistics):
    """Replace position, gradient and log density by the next draw's, and fill the record `statistics`.

    Returns a status: negative if the density stops the chain; the draw is then unchanged.
    """
    begin(trajectory, step_size)
    verbs = Verbs(leaf, is_turning, combine)
    depth, outcome = grow(trajectory, verbs, next_word(trajectory.rng), max_depth)
    tree, chain = trajectory.tree, trajectory.chain
    chain.n_gradients += tree.n_steps
    if tree.status < 0:
        return tree.status
    row = trajectory.slots[0].chosen
    point = trajectory.points[row]
    copy_into(vector_of(trajectory, row, POSITION), trajectory.position)
    copy_into(vector_of(trajectory, row, GRADIENT), trajectory.gradient)
    chain.lp = point.lp
    statistics.lp = point.lp
    statistics.acceptance_rate = tree.sum_acceptance / max(tree.n_leaves, 1)
    statistics.step_size = step_size
    statistics.energy = point.energy
    statistics.energy_error = point.energy - tree.initial_energy
    statistics.max_energy_error = tree.max_energy_error
    statistics.index_in_trajectory = point.index
    statistics.tree_depth = depth
    statistics.n_steps = tree.n_steps
    statistics.diverging = tree.diverging
    statistics.reached_max_treedepth = outcome == COMPLETE
    return 0
