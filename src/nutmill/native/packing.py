"""How `expand` and `prepare` lay their outputs side by side: each begins at the next multiple of eight bytes."""

from collections.abc import Iterator, Sequence

import numpy as np


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
