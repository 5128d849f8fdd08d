"""How much room a group has to learn directions of its metric in: sizes alone, nothing compiled."""

import math
from typing import NamedTuple

from nutmill.nuts.state import N_BLOCKS

_ROWS_PER_CHAIN = 64
_MAX_RANK, _MIN_RANK = 256, 2
# The space that directions are looked for in: of so many dimensions up to that many parameters. Fitting takes the
# time of _MAX_SIZE^3 multiplications and of size^2 for each parameter, which is not to grow beyond that.
_MAX_SIZE, _LARGE = 256, 512
# With less there is nothing to be found.
_MIN_SIZE = 48
# Numbers in the directions of a chain: all directions up to 200 parameters. A step takes two multiplications for each.
_MAX_NUMBERS = 40_000

# Centrednesses that are compared: 0, 0.05, ..., 1. Their learning needs some draws where directions need none.
N_CANDIDATES, FEWEST_ROWS_PER_BLOCK = 21, 8


class LowRankSizes(NamedTuple):
    """Lengths of the arrays of a group; with all of them 0 its metric stays diagonal.

    Attributes
    ----------
    max_rank : int
    rows_per_block : int
        Draws that a block keeps.
    matrix_size : int
        Dimension of the space that directions are looked for in.
    n_work_rows : int
    """

    max_rank: int = 0
    rows_per_block: int = 0
    matrix_size: int = 0
    n_work_rows: int = 0


def low_rank_sizes(n_chains: int, n_dim: int) -> LowRankSizes:
    """Plan the learning of directions: where there are many dimensions, in the span of fewer draws."""
    size = _MAX_SIZE if n_dim <= _LARGE else int(_MAX_SIZE * math.sqrt(_LARGE / n_dim))
    if size < _MIN_SIZE:
        return LowRankSizes()
    # Draws and gradients together span no more than there is room for.
    per_chain = _ROWS_PER_CHAIN if n_dim <= size else min(_ROWS_PER_CHAIN, size // (2 * n_chains))
    per_block = max(1, per_chain // N_BLOCKS)
    n_rows, size = per_block * N_BLOCKS * n_chains, min(n_dim, size)
    max_rank = min(n_dim, _MAX_RANK, max(_MIN_RANK, _MAX_NUMBERS // n_dim))
    # Draws, gradients, a basis of both, two rows to centre with, the directions found.
    return LowRankSizes(max_rank, per_block, size, 2 * n_rows + size + 2 + max_rank)
