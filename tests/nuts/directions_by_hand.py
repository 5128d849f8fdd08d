"""Rows that stretch along one direction, and compiled code that looks for it in them."""

import numba
import numpy as np
from nuts.kernel_groups import new_plan, orthonormal

from nutmill.nuts.group import new_group
from nutmill.nuts.warmup import low_rank
from nutmill.nuts.warmup.window import Window


@numba.njit
def proven(chains, blocks, rows, n_draws, variance, room):
    work, matrices, found, stretch, squares, proven = room
    window = Window(chains, blocks, rows, n_draws)
    return low_rank.proven_rank(window, variance, low_rank.Room(work, matrices, found, stretch, squares, proven))


def new_room(n_rows: int, n_dim: int, size: int = 40, max_rank: int = 8):
    work = np.zeros((2 * n_rows + size + 2, n_dim))
    matrices, found = np.zeros((3, size, size)), np.zeros((max_rank, n_dim))
    return work, matrices, found, np.zeros(max_rank), np.zeros(size), np.zeros((2 * max_rank, n_dim))


def window_by_hand(tilts: list[float], seed: int = 0, n_dim: int = 30):
    """Rows of one chain each: independent normals, stretched by a factor along the first of these directions."""
    rng, units = np.random.default_rng([2, seed]), orthonormal(1, n_dim)
    state = new_group(new_plan(tune=100), np.zeros((len(tilts), n_dim)), 1, list(range(len(tilts))))
    state.chains["member"] = True
    n_rows = state.rows.shape[2]
    for chain, tilt in enumerate(tilts):
        for block in range(4):
            state.blocks[chain, block] = (10 + 10 * block, 20 + 10 * block, n_rows, n_rows)
            positions = rng.normal(size=(n_rows, n_dim))
            positions += (tilt - 1.0) * (positions @ units.T) @ units
            state.rows[chain, block, :, 0] = positions
            state.rows[chain, block, :, 1] = -positions - (tilt**-2 - 1.0) * (positions @ units.T) @ units
    return state, units[0]
