"""The arrays that a group of chains lives in, and the table through which compiled code finds them; NumPy alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Phases of a group; a barrier (`pool`) stands between any two.
START, WARMUP, SEARCH, TERMINAL, SAMPLING, TRY, MOVE, COMPARE = range(8)
# In these a chain makes no draws: a call has done all that there is to do.
WITHOUT_DRAWS = (START, SEARCH, TRY, MOVE, COMPARE)

# Rows of a point in the trajectory, and of a block of moments.
POSITION, MOMENTUM, GRADIENT = range(3)
MEAN_POSITION, SQUARES_POSITION, MEAN_GRADIENT, SQUARES_GRADIENT = range(4)
N_BLOCKS = 4
# What a row of a draw holds, of those that teach directions and centrednesses; the last two where there are sites.
DRAW_POSITION, DRAW_GRADIENT, DRAW_LOCATION, DRAW_LOG_SCALE = range(4)
# How the elements of a site hang together (`GroupState.joint`).
ALONE, TOGETHER, BY_LARGEST, TURNING, SHIFTED = range(5)
# Coordinates of a process that are compared (`nuts.warmup.trial_coordinates`).
N_TRIED = 12
# Directions that halves of the chains have confirmed, of which there is room for so many (`nuts.warmup.low_rank`).
MOST_PROVEN = 64

SETTINGS = np.dtype([("target_accept", "f8"), ("max_treedepth", "i8")], align=True)
STAGE = np.dtype(
    [
        ("n_draws", "i8"),
        ("max_treedepth", "i8"),
        ("target_accept", "f8"),
        ("is_terminal", "?"),
        ("recentres", "?"),  # after this one, if the chains want to
        ("may_stop", "?"),  # after this one and the next, if the chains agree twice: what follows is terminal
    ],
    align=True,
)
GROUP = np.dtype(
    [
        ("n_dim", "i8"),
        ("phase", "i8"),
        ("stage", "i8"),  # row of the schedule
        ("stage_end", "i8"),  # number of draws at which the next barrier stands
        ("n_warmup", "i8"),  # draws of warmup, known once the phase is SAMPLING
        ("n_agreed", "i8"),  # epochs in a row at whose end the chains agreed
        ("target_accept", "f8"),  # that of the present terminal stage, and of the last one once there is none
        ("has_metric", "?"),  # the admitted chains share a metric learned from draws
    ],
    align=True,
)
CHAIN = np.dtype(
    [
        ("lp", "f8"),  # log density at the position
        ("log_step", "f8"),
        ("log_step_bar", "f8"),
        ("log_step_centre", "f8"),  # mu of dual averaging
        ("gamma", "f8"),  # of dual averaging: the smaller, the larger its steps
        ("shortfall", "f8"),  # running mean of target minus acceptance, H-bar of dual averaging
        ("n_updates", "i8"),
        ("n_averaged", "i8"),
        ("n_draws", "i8"),  # draws since the start, warmup included
        ("n_gradients", "i8"),
        ("n_warmup_gradients", "i8"),  # 0 during warmup
        ("n_divergences", "i8"),  # of the sampling phase
        ("n_warmup_divergences", "i8"),
        ("shortest_divergence", "f8"),  # logarithm of the shortest step that diverged in this terminal stage
        ("shortest_near", "f8"),  # likewise of the shortest that diverged or came near it
        ("shortest_rough", "f8"),  # likewise of the shortest whose energy error was beyond what stable steps have
        ("rank", "i8"),  # directions of the metric
        ("n_lesser", "i8"),  # epochs in a row at whose end its mode was found negligible
        ("restarted_at", "i8"),  # draws when it last went on where another chain was; 0: never
        ("restarted_from", "i8"),  # that chain
        ("log_mass", "f8"),  # of the mode that it left, beside that of the other: at most
        ("can_move", "?"),  # to the centrednesses that are proposed: density and gradient are finite there
        ("admitted", "?"),
        ("member", "?"),  # of the chains that are learned from just now
    ],
    align=True,
)
BLOCK = np.dtype([("start", "i8"), ("end", "i8"), ("n_good", "i8"), ("n_rows", "i8")], align=True)
STATISTICS = np.dtype(
    [
        ("lp", "f8"),
        ("acceptance_rate", "f8"),
        ("step_size", "f8"),
        ("step_size_bar", "f8"),
        ("energy", "f8"),
        ("energy_error", "f8"),
        ("max_energy_error", "f8"),
        ("index_in_trajectory", "i8"),
        ("tree_depth", "i8"),
        ("n_steps", "i8"),
        ("diverging", "?"),
        ("reached_max_treedepth", "?"),
    ],
    align=True,
)
DIVERGENCE = np.dtype([("draw", "i8"), ("energy_error", "f8"), ("status", "i8")], align=True)
TREE = np.dtype(
    [
        ("step_size", "f8"),
        ("initial_energy", "f8"),
        ("log_scale", "f8"),  # of a weight of 1
        ("sum_acceptance", "f8"),
        ("max_energy_error", "f8"),
        ("divergence_error", "f8"),
        ("n_steps", "i8"),  # gradients; more than leaves where steps were refined
        ("n_leaves", "i8"),
        ("status", "i8"),
        ("divergence_start", "i8"),  # rows of the points on either side of the divergent step
        ("divergence_end", "i8"),
        ("diverging", "?"),
        ("refines", "?"),  # steps that change the energy by too much are made in parts
    ],
    align=True,
)
POINT = np.dtype([("lp", "f8"), ("energy", "f8"), ("index", "i8"), ("n_references", "i8")], align=True)
SLOT = np.dtype([("weight", "f8"), ("first", "i8"), ("last", "i8"), ("chosen", "i8")], align=True)


class GroupState(NamedTuple):
    """All arrays of one group of `c` chains in `n` dimensions; records have the dtypes above.

    Everything that the next draw depends on is in the fields up to `warmup_lp`: their bytes are a checkpoint.
    """

    settings: np.ndarray  # (1,) record
    group: np.ndarray  # (1,) record
    schedule: np.ndarray  # (n_stages,) STAGE: warmup as data
    chains: np.ndarray  # (c,) CHAIN
    blocks: np.ndarray  # (c, 4) BLOCK: which warmup draws each block of moments covers; two blocks an epoch, two epochs
    rng: np.ndarray  # (c, 4) uint64: one xoshiro256++ stream per chain
    # (c, n) float64: the current draw and the gradient of its log density, in coordinates of the centrednesses.
    position: np.ndarray
    gradient: np.ndarray
    # (c, n) float64: coordinates of each chain (`nuts.recentring`), 0 for elements of no site; (c, 0) where chains stay
    # in those of the model as it is written.
    centredness: np.ndarray
    # As centredness: of the elements of sites, at the current draw.
    location: np.ndarray
    log_scale: np.ndarray
    variance: np.ndarray  # (c, n) float64: diagonal of the inverse metric
    # What the inverse metric has beside its diagonal (`metric.Metric`); zeros and ones beyond the rank of a chain.
    directions: np.ndarray  # (c, max_rank, n) float64
    stretch: np.ndarray  # (c, max_rank) float64
    moments: np.ndarray  # (c, 4, 4, n) float64: per block: mean and sum of squares of positions, then of gradients
    # (c, 4, n_rows, 2 or 4, n) float64: per block: some of its draws, spread evenly over it, with their gradients; then
    # locations and log scales.
    rows: np.ndarray
    written: np.ndarray  # (n,) float64, or (0,): the centrednesses of the model as it is written
    # (c, n_warmup_max) float64: of each warmup draw: the logarithm of its squared gradient in common units
    # (`gate.log_force`), the energy that it was drawn at, its log density as the model is written.
    warmup_force: np.ndarray
    warmup_energy: np.ndarray
    warmup_lp: np.ndarray
    proposed: np.ndarray  # (n,) float64, or (0,): the centrednesses that chains are to move to
    usual_log_scale: np.ndarray  # (n,) float64, or (0,): room for the mean log scale of each element
    sites: np.ndarray  # (n,) int64, or (0,): of which site an element is; -1: of none
    # (n,) int64, or (0,): TOGETHER for elements of sites that have to choose together (`warmup.trial_coordinates`),
    # BY_LARGEST where they do so at the largest scale of the site, TURNING where their coordinates are of a basis of
    # their own (`nuts.turning`), SHIFTED where it has but a location (`graphs.hierarchies.intercepts`), else ALONE.
    joint: np.ndarray
    # Room for moments of draws in the coordinates that are compared, of every other block of draws apart.
    trial_blocks: np.ndarray  # (c, 2, N_TRIED + 1) BLOCK
    trials: np.ndarray  # (c, 2, N_TRIED + 1, 4, n) float64, or (0, ...)
    # (2, n, k) float64, or (0, 0, 0): room for what each of k centrednesses costs in the eyes of each half of the
    # chains.
    losses: np.ndarray
    stop: np.ndarray  # (1,) int64: not zero: return after the current draw
    unkept: np.ndarray  # (c,) STATISTICS: where the statistics of a draw go that is not kept
    # Draw k goes to row k modulo capacity: one that is smaller than the run makes a window, which the driver empties.
    draws: np.ndarray  # (c, capacity, n) float64
    statistics: np.ndarray  # (c, capacity) STATISTICS
    warmup_draws: np.ndarray  # as above; capacity 0 keeps none
    warmup_statistics: np.ndarray  # as above; capacity 0 keeps none
    # Of sampling draws, in the same way; start, end, gradient at the start. Capacity 0 keeps none.
    divergences: np.ndarray  # (c, capacity) DIVERGENCE
    divergence_points: np.ndarray  # (c, capacity, 3, n) float64
    tree: np.ndarray  # (c,) TREE
    # What is computed of the metric for trajectories (`metric.prepare`); m is n + max_rank or a little more.
    weights: np.ndarray  # (c, m) float64
    precision_root: np.ndarray  # (c, n) float64
    # The pool of trajectory points: position, momentum, gradient; behind the latter two, what lies along directions.
    points: np.ndarray  # (c, n_points) POINT
    vectors: np.ndarray  # (c, n_points, 3, m) float64
    # The stack of sub-trees; a single point has its momentum in place of a sum.
    slots: np.ndarray  # (c, n_slots) SLOT
    momentum_sums: np.ndarray  # (c, n_slots, m) float64
    pool_work: np.ndarray  # (4, n_warmup_max or more) float64: room for sorting
    # Room to learn directions in.
    low_rank_rows: np.ndarray  # (m, n) float64
    low_rank_matrices: np.ndarray  # (3, k, k) float64


# One entry of the table: the address and five lengths (1 where the array has fewer axes).
WORDS = 6

# Data type and number of axes of each field, in a `GroupState`, which Numba makes of the arrays.
_with_each: Callable[..., Any] = GroupState
FIELDS = _with_each(
    settings=(SETTINGS, 1),
    group=(GROUP, 1),
    schedule=(STAGE, 1),
    chains=(CHAIN, 1),
    blocks=(BLOCK, 2),
    rng=(np.uint64, 2),
    position=(np.float64, 2),
    gradient=(np.float64, 2),
    centredness=(np.float64, 2),
    location=(np.float64, 2),
    log_scale=(np.float64, 2),
    variance=(np.float64, 2),
    directions=(np.float64, 3),
    stretch=(np.float64, 2),
    moments=(np.float64, 4),
    rows=(np.float64, 5),
    written=(np.float64, 1),
    warmup_force=(np.float64, 2),
    warmup_energy=(np.float64, 2),
    warmup_lp=(np.float64, 2),
    proposed=(np.float64, 1),
    usual_log_scale=(np.float64, 1),
    sites=(np.int64, 1),
    joint=(np.int64, 1),
    trial_blocks=(BLOCK, 3),
    trials=(np.float64, 5),
    losses=(np.float64, 3),
    stop=(np.int64, 1),
    unkept=(STATISTICS, 1),
    draws=(np.float64, 3),
    statistics=(STATISTICS, 2),
    warmup_draws=(np.float64, 3),
    warmup_statistics=(STATISTICS, 2),
    divergences=(DIVERGENCE, 2),
    divergence_points=(np.float64, 4),
    tree=(TREE, 1),
    weights=(np.float64, 2),
    precision_root=(np.float64, 2),
    points=(POINT, 2),
    vectors=(np.float64, 4),
    slots=(SLOT, 2),
    momentum_sums=(np.float64, 3),
    pool_work=(np.float64, 2),
    low_rank_rows=(np.float64, 2),
    low_rank_matrices=(np.float64, 3),
)


def address_table(state: tuple[np.ndarray, ...]) -> np.ndarray:
    """Build the table (n_fields * 6,) int64 that the C entry points take as `group`; its arrays must outlive it."""
    table = np.ones((len(state), WORDS), dtype=np.int64)
    for row, array in zip(table, state, strict=True):
        row[0] = array.ctypes.data
        row[1 : 1 + array.ndim] = array.shape
    return table.ravel()
