"""Some of the warmup draws themselves, kept in the blocks of an epoch for what means and squares cannot tell."""

from typing import NamedTuple

import numpy as np

from nutmill._jit import inlined_kernel, kernel
from nutmill.nuts.linear_algebra import add_multiple
from nutmill.nuts.state import N_BLOCKS
from nutmill.nuts.vectors import copy_into
from nutmill.nuts.warmup.moments import in_window

# Which draws to gather: those of both halves, or of half 0 or 1.
BOTH = np.int64(-1)


class Window(NamedTuple):
    """The warmup draws that the members among the chains learn from."""

    chains: np.ndarray  # (c,) CHAIN
    blocks: np.ndarray  # (c, 4) BLOCK
    rows: np.ndarray  # (c, 4, n_rows, 2, n) float64
    n_draws: int  # draws of each chain so far; the latter half of them is the window


@inlined_kernel
def window_of(state, n_draws):
    """View the window of a group."""
    return Window(state.chains, state.blocks, state.rows, n_draws)


@kernel
def row_due(block, rows, draw):
    """Return which of the rows of a block is to take draw number `draw`, whose turn has come: evenly spread; or -1."""
    capacity = rows.shape[0]
    if capacity == 0:
        return -1
    stride = (block.end - block.start + capacity - 1) // capacity
    if (draw - block.start) % stride != 0:
        return -1
    block.n_rows += 1
    return block.n_rows - 1


@kernel
def gather_rows(window, half, out):
    """Copy draws and gradients of the window into `out` by turns, both centred; return the number of draws.

    Parameters
    ----------
    half : int
        BOTH, or 0 or 1: every other member, and of a single one every other block.
    out : (m, n) float64
        With room for two rows more than all draws and gradients.
    """
    n_members, place, count = 0, 0, 0
    for number in range(window.chains.shape[0]):
        n_members += window.chains[number].member
    for number in range(window.chains.shape[0]):
        if window.chains[number].member:
            for block in range(N_BLOCKS):
                part = (place if n_members > 1 else block) % 2
                record = window.blocks[number, block]
                if half in (BOTH, part) and in_window(record, window.n_draws):
                    for row in range(record.n_rows):
                        for kind in range(2):
                            copy_into(window.rows[number, block, row, kind], out[2 * count + kind])
                        count += 1
            place += 1
    _centre(out[: 2 * count], out[2 * count : 2 * count + 2])
    return count


@kernel
def _centre(rows, means):
    """Subtract from every other row the mean of these; `means` (2, n) is room."""
    means[:, :] = 0.0
    for k in range(rows.shape[0]):
        add_multiple(means[k % 2], 2.0 / rows.shape[0], rows[k])
    for k in range(rows.shape[0]):
        add_multiple(rows[k], -1.0, means[k % 2])
