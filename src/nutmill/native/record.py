"""The data record: one vector of 64-bit words that tells native code where each argument lies and how long it is.

A parameter is a piece of the flat position: its words are the offset (in values) and the lengths of its
dimensions. An array is data: its words are its address and the lengths of its dimensions. All are C-contiguous.
Code knows positions in the record, dtypes and ranks; lengths and addresses are read at run time, so that new data
never means new code. Outputs of `expand` and `prepare` lie side by side, each from the next multiple of eight bytes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Where the kernel finds the addresses of the model's C functions `density` and `sites`; and the density the address of
# a pool of threads that help with its loops over tiles (`native/teams.py`), 0 if there is none.
DENSITY_WORD, SITES_WORD, TEAMS_WORD = 0, 1, 2
FIRST_WORD = 3

# How many 64-bit words each entry of a model takes.
ENTRY_WORDS = {"density": 4, "sites": 4, "expand": 6, "prepare": 3}


class Slot(NamedTuple):
    """One argument of native code: what is known when it is compiled."""

    word: int  # where its words begin in the record
    dtype: np.dtype
    ndim: int
    is_parameter: bool


def layout(parameters: Sequence[tuple], arrays: Sequence[tuple]) -> list[Slot]:
    """Place `(dtype, ndim)` pairs in the record, parameters first; each takes 1 + ndim words."""
    slots, word = [], FIRST_WORD
    for is_parameter, group in ((True, parameters), (False, arrays)):
        for dtype, ndim in group:
            slots.append(Slot(word, np.dtype(dtype), ndim, is_parameter))
            word += 1 + ndim
    return slots


@dataclass(frozen=True)
class Record:
    """The words, and the arrays they point to, which must live as long as native code may look at them."""

    words: np.ndarray  # (n_words,) int64
    arrays: tuple[np.ndarray, ...]

    def with_functions(self, density: int, sites: int) -> "Record":
        """Make a record of the same arrays from which the kernel calls other functions."""
        words = self.words.copy()
        words[DENSITY_WORD], words[SITES_WORD] = density, sites
        return Record(words, self.arrays)

    def with_teams(self, teams: int) -> "Record":
        """Make a record of the same arrays whose reader is helped by the threads of a pool."""
        words = self.words.copy()
        words[TEAMS_WORD] = teams
        return Record(words, self.arrays)

    @property
    def address(self) -> int:
        """Address of the words, as native code takes it."""
        return self.words.ctypes.data


def fill(
    slots: Sequence[Slot],
    shapes: Sequence[tuple[int, ...]],
    arrays: Sequence[np.ndarray],
    density: int = 0,
    sites: int = 0,
) -> Record:
    """Write the addresses of the functions, shapes of parameters and addresses of arrays into a new record.

    The record keeps copies of arrays that are not C-contiguous or of another dtype, and all others as they are.
    """
    last = slots[-1]
    words = np.zeros(last.word + 1 + last.ndim, dtype=np.int64)
    words[DENSITY_WORD], words[SITES_WORD] = density, sites
    arrays = tuple(np.ascontiguousarray(a, dtype=s.dtype) for a, s in zip(arrays, slots[len(shapes) :], strict=True))
    offset = 0
    for slot, shape in zip(slots, shapes, strict=False):
        words[slot.word] = offset
        words[slot.word + 1 : slot.word + 1 + slot.ndim] = shape
        offset += int(np.prod(shape))
    for slot, array in zip(slots[len(shapes) :], arrays, strict=True):
        words[slot.word] = array.ctypes.data
        words[slot.word + 1 : slot.word + 1 + slot.ndim] = array.shape
    return Record(words, arrays)


def packed_sizes(dtypes: Sequence[np.dtype], shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Bytes that each output takes where `expand` and `prepare` pack them."""
    sizes = [int(np.prod(shape)) * np.dtype(dtype).itemsize for dtype, shape in zip(dtypes, shapes, strict=True)]
    return [(size + 7) & -8 for size in sizes]


def unpack(packed: np.ndarray, dtypes: Sequence[np.dtype], shapes: Sequence[tuple[int, ...]]) -> Iterator[np.ndarray]:
    """Cut packed rows (n_rows, n_bytes) uint8 into one array (n_rows, *shape) for each output."""
    first = 0
    for dtype, shape, size in zip(dtypes, shapes, packed_sizes(dtypes, shapes), strict=True):
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        column = np.ascontiguousarray(packed[:, first : first + n_bytes]).view(dtype)
        yield column.reshape(len(packed), *shape)
        first += size


def room_for_lengths(ranks: Sequence[int]) -> np.ndarray:
    """Words into which native code writes the lengths of its outputs, (n,) int64."""
    return np.zeros(max(1, sum(ranks)), dtype=np.int64)


def shapes_of(words: np.ndarray, ranks: Sequence[int]) -> list[tuple[int, ...]]:
    """Shapes of outputs of these ranks from the lengths of all their dimensions."""
    ends = np.cumsum(ranks)
    return [tuple(int(n) for n in words[end - rank : end]) for rank, end in zip(ranks, ends, strict=True)]
