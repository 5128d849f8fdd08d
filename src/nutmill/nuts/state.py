"""The arrays that a group of chains lives in, and the table of addresses through which compiled code finds them."""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from nutmill._jit import kernel

GROUP_SIZE = 4

# Phases of a group; a barrier (`pool`) stands between any two.
START, WARMUP, SEARCH, TERMINAL, SAMPLING = range(5)
PHASE_NAMES = ("start", "warmup", "warmup", "warmup", "sampling")

# Rows of a point in the trajectory, and of a block of moments.
POSITION, MOMENTUM, VELOCITY, GRADIENT, ACCELERATION = range(5)
MEAN_POSITION, SQUARES_POSITION, MEAN_GRADIENT, SQUARES_GRADIENT = range(4)
N_BLOCKS = 4

SETTINGS = np.dtype([("target_accept", "f8"), ("max_treedepth", "i8")], align=True)
STAGE = np.dtype(
    [("n_draws", "i8"), ("max_treedepth", "i8"), ("is_terminal", "?"), ("may_stop", "?")], align=True
)
GROUP = np.dtype(
    [
        ("phase", "i8"),
        ("stage", "i8"),  # row of the schedule
        ("stage_end", "i8"),  # number of draws at which the next barrier stands
        ("n_warmup", "i8"),  # draws of warmup, known once the phase is SAMPLING
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
        ("shortfall", "f8"),  # running mean of target minus acceptance, H-bar of dual averaging
        ("n_updates", "i8"),
        ("n_averaged", "i8"),
        ("n_draws", "i8"),  # draws since the start, warmup included
        ("n_gradients", "i8"),
        ("n_divergences", "i8"),  # of the sampling phase
        ("n_warmup_divergences", "i8"),
        ("admitted", "?"),
    ],
    align=True,
)
BLOCK = np.dtype([("start", "i8"), ("end", "i8"), ("n_good", "i8")], align=True)
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
        ("sum_acceptance", "f8"),
        ("sum_symmetric", "f8"),  # of 2 a / (1 + a) with a the ratio of densities
        ("max_energy_error", "f8"),
        ("divergence_error", "f8"),
        ("n_steps", "i8"),
        ("status", "i8"),
        ("divergence_start", "i8"),  # rows of the points on either side of the divergent step
        ("divergence_end", "i8"),
        ("diverging", "?"),
    ],
    align=True,
)
POINT = np.dtype([("lp", "f8"), ("energy", "f8"), ("index", "i8"), ("n_references", "i8")], align=True)
SLOT = np.dtype([("log_weight", "f8"), ("first", "i8"), ("last", "i8"), ("chosen", "i8")], align=True)


class GroupState(NamedTuple):
    """All arrays of one group of `c` chains in `n` dimensions; `record` arrays have the dtype of the same name above.

    Everything that the next draw depends on is in the fields up to `warmup_lp`: their bytes are a checkpoint.

    Attributes
    ----------
    settings, group : (1,) record
    schedule : (n_stages,) STAGE
        Warmup as data.
    chains : (c,) CHAIN
    blocks : (c, 4) BLOCK
        Which warmup draws each block of moments covers; two blocks an epoch, two epochs.
    rng : (c, 4) uint64
        One xoshiro256++ stream per chain.
    position, gradient : (c, n) float64
        The current draw and the gradient of its log density.
    variance : (c, n) float64
        Diagonal of the inverse metric.
    moments : (c, 4, 4, n) float64
        Per block: mean and sum of squares of positions, then of gradients.
    warmup_lp : (c, n_warmup_max) float64
    stop : (1,) int64
        Not zero: return after the current draw.
    latest : (c,) STATISTICS
        Of the latest draw.
    draws, statistics : (c, capacity, n) float64, (c, capacity) STATISTICS
    warmup_draws, warmup_statistics : as above; capacity 0 keeps none
    divergences, divergence_points : (c, capacity) DIVERGENCE, (c, capacity, 3, n) float64
        Of sampling draws; start, end, gradient at the start. Capacity 0 keeps none.
    tree : (c,) TREE
    points, vectors : (c, n_points) POINT, (c, n_points, 5, n) float64
        The pool of trajectory points: position, momentum, velocity, gradient, acceleration.
    slots, momentum_sums : (c, n_slots) SLOT, (c, n_slots, n) float64
        The stack of sub-trees.
    pool_work : (4, n_warmup_max or more) float64
        Room for sorting.
    """

    settings: np.ndarray
    group: np.ndarray
    schedule: np.ndarray
    chains: np.ndarray
    blocks: np.ndarray
    rng: np.ndarray
    position: np.ndarray
    gradient: np.ndarray
    variance: np.ndarray
    moments: np.ndarray
    warmup_lp: np.ndarray
    stop: np.ndarray
    latest: np.ndarray
    draws: np.ndarray
    statistics: np.ndarray
    warmup_draws: np.ndarray
    warmup_statistics: np.ndarray
    divergences: np.ndarray
    divergence_points: np.ndarray
    tree: np.ndarray
    points: np.ndarray
    vectors: np.ndarray
    slots: np.ndarray
    momentum_sums: np.ndarray
    pool_work: np.ndarray


# One entry of the table: the address and four lengths (1 where the array has fewer axes).
_WORDS = 5


def address_table(state: GroupState) -> np.ndarray:
    """Build the table that the C entry points take as `group`.

    Parameters
    ----------
    state : GroupState
        C-contiguous arrays that must outlive the table.

    Returns
    -------
    (25 * 5,) int64
    """
    table = np.ones((len(state), _WORDS), dtype=np.int64)
    for row, array in zip(table, state, strict=True):
        row[0] = array.ctypes.data
        row[1 : 1 + array.ndim] = array.shape
    return table.ravel()


@intrinsic
def _pointer(_context, _address):
    """Read an int64 as an untyped pointer."""

    def generate(_context, builder, _signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@kernel
def _array1(table, field, dtype):
    entry = _WORDS * field
    return carray(_pointer(table[entry]), (table[entry + 1],), dtype)


@kernel
def _array2(table, field, dtype):
    entry = _WORDS * field
    return carray(_pointer(table[entry]), (table[entry + 1], table[entry + 2]), dtype)


@kernel
def _array3(table, field, dtype):
    entry = _WORDS * field
    return carray(_pointer(table[entry]), (table[entry + 1], table[entry + 2], table[entry + 3]), dtype)


@kernel
def _array4(table, field, dtype):
    entry = _WORDS * field
    shape = (table[entry + 1], table[entry + 2], table[entry + 3], table[entry + 4])
    return carray(_pointer(table[entry]), shape, dtype)


@kernel
def group_state(table):
    """Rebuild the named tuple of arrays from the table; nothing is copied."""
    return GroupState(
        _array1(table, 0, SETTINGS),
        _array1(table, 1, GROUP),
        _array1(table, 2, STAGE),
        _array1(table, 3, CHAIN),
        _array2(table, 4, BLOCK),
        _array2(table, 5, np.uint64),
        _array2(table, 6, np.float64),
        _array2(table, 7, np.float64),
        _array2(table, 8, np.float64),
        _array4(table, 9, np.float64),
        _array2(table, 10, np.float64),
        _array1(table, 11, np.int64),
        _array1(table, 12, STATISTICS),
        _array3(table, 13, np.float64),
        _array2(table, 14, STATISTICS),
        _array3(table, 15, np.float64),
        _array2(table, 16, STATISTICS),
        _array2(table, 17, DIVERGENCE),
        _array4(table, 18, np.float64),
        _array1(table, 19, TREE),
        _array2(table, 20, POINT),
        _array4(table, 21, np.float64),
        _array2(table, 22, SLOT),
        _array3(table, 23, np.float64),
        _array2(table, 24, np.float64),
    )
