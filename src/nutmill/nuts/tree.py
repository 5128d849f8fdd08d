"""The NUTS tree by iterated doubling, written against three verbs, so that tests can grow it on integers.

A slot holds a sub-tree. Slot 0 is the tree itself; above it lies a stack of finished sub-trees of the
extension under way. Their sizes are the binary digits of its number of leaves so far: merging is carrying.
"""

from typing import NamedTuple

import numpy as np

from nutmill._jit import inlined_kernel, kernel

COMPLETE, TURNING, DIVERGED = range(3)

# NumPy's scalars, because for plain literals Numba would compile every verb once more.
_TREE, _EXTENSION = np.int64(0), np.int64(1)
_BIASED, _IN_PROPORTION = np.bool_(True), np.bool_(False)


class Verbs(NamedTuple):
    """What the tree asks of a trajectory; each is an njit function.

    Attributes
    ----------
    leaf(trajectory, slot, forward) -> bool
        Step once from the outer end of slot - 1 and make a tree of one leaf in `slot`; False: divergence.
    is_turning(trajectory, older, newer, forward, has_inner_ends) -> bool
        Whether the union of two adjacent slots turns back on itself; `newer` is later in time if `forward`, else
        earlier. `has_inner_ends` is False if both are single leaves. Asked once for each union, before it is made.
    combine(trajectory, older, newer, forward, biased)
        Merge slot `newer` into slot `older`. Choose a point of the newer in proportion to its weight, or, if
        `biased`, with probability min(1, weight of newer / weight of older).
    """

    leaf: object
    is_turning: object
    combine: object


@inlined_kernel
def grow(trajectory, verbs, directions, max_depth):
    """Double the tree in slot 0 until it turns, diverges or has `max_depth` doublings.

    Parameters
    ----------
    directions : uint64
        Bit `k` set: doubling `k` goes forward in time.

    Returns
    -------
    depth : int
        Doublings that became part of the tree.
    outcome : int
        COMPLETE (stopped by `max_depth`), TURNING or DIVERGED.
    """
    for depth in range(max_depth):
        forward = (directions >> np.uint64(depth)) & np.uint64(1) == np.uint64(1)
        outcome = _extend(trajectory, verbs, depth, forward)
        if outcome != COMPLETE:
            return depth, outcome
        # The verdict comes before the merge but does not take back the draw: all of the extension is sound.
        turning = verbs.is_turning(trajectory, _TREE, _EXTENSION, forward, depth > 0)
        verbs.combine(trajectory, _TREE, _EXTENSION, forward, _BIASED)
        if turning:
            return depth + 1, TURNING
    return max_depth, COMPLETE


@kernel
def _extend(trajectory, verbs, depth, forward):
    """Build a sub-tree of 2^depth leaves in slot 1; with any outcome but COMPLETE it must be dropped."""
    top = _TREE
    for count in range(1 << depth):
        top += 1
        if not verbs.leaf(trajectory, top, forward):
            return DIVERGED
        level = 0
        while (count >> level) & 1:
            if verbs.is_turning(trajectory, top - 1, top, forward, level > 0):
                return TURNING
            verbs.combine(trajectory, top - 1, top, forward, _IN_PROPORTION)
            top -= 1
            level += 1
    return COMPLETE


@kernel
def weigh(older, newer, biased):
    """Return the summed weights of two sub-trees, and the probability to choose from the newer.

    Parameters
    ----------
    older, newer : float
        Weights, finite. Where both have underflowed to 0 the probability is NaN, less than which nothing is.
    biased : bool
        Prefer the newer, as at the top of the tree (Betancourt 2017, A.3.2); else in proportion to weight.
    """
    weight = older + newer
    if biased:
        return weight, 1.0 if newer >= older else newer / older
    return weight, newer / weight
