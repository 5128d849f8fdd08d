"""Puts rows of data in the order of the groups that an index names, when data are bound, for loops over groups.

Groups lie side by side, `LANES` of them at a time: step t of a slice of groups has row t of each of them, so that a
vector of the processor holds one row of each. What belongs to a group is then read once for all its rows, and a sum
over the rows of each group is a sum of vectors, without an addition that waits for the one before. Groups of many rows
are cut into pieces of about equal length, and pieces are sorted by their length, so that a slice has few steps in which
some of its lanes are idle. There stands a row of another place, which loops pass over.

Of an array of counts, of which few are distinct, it makes the distinct ones, how often each is there, and which of them
each element is: so that what a density computes of a count is computed once for each of these.

Of a matrix of few columns it makes one in which each column lies in one piece, as loops over rows read them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nutmill.native import lengths

# Lanes of a slice: the float64 of the widest registers. Rows of a piece at most.
LANES, LONGEST = 8, 64

# What of the order of rows an array is: the index of each piece; how many rows it has; where the steps of each slice
# begin, and the end; rows of another array in this order; or the columns of a matrix, its rows in this order.
PIECES, COUNTS, BEGINS, ROWS, COLUMNS = "pieces", "counts", "begins", "rows", "columns"
# Of the array `source` itself, in whatever order: its distinct values, which of them each element is, and how
# often each is there.
DISTINCT, PLACES, TIMES = "distinct", "places", "times"
# The matrix `source` itself, each of its columns in one piece.
TRANSPOSED = "transposed"
_KINDS = (PIECES, COUNTS, BEGINS, ROWS, COLUMNS)
_OF_VALUES = (DISTINCT, PLACES, TIMES)


class Arranged(NamedTuple):
    """An array that is made when data are bound."""

    kind: str  # one of those above
    by: int  # the number of the array of integers that names the group of each row
    source: int  # with `ROWS` and `COLUMNS`, that of the array whose rows are meant; arrays made before count on


class RowsMisfit(Exception):
    """Arrays that belong row by row to an index have another number of rows."""


class _Order(NamedTuple):
    pieces: np.ndarray  # (n_slices * LANES,), of the index's dtype
    counts: np.ndarray  # (n_slices * LANES,) int64
    begins: np.ndarray  # (n_slices + 1,) int64, in rows
    rows: np.ndarray  # (begins[-1],) int64


def arrange(arranged: Sequence[Arranged], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Make the arrays for these data; raises RowsMisfit."""
    orders: dict[int, _Order] = {}
    values: dict[int, _Values] = {}
    known = list(arrays)
    for kind, index, source in arranged:
        if kind == TRANSPOSED:
            known.append(np.ascontiguousarray(known[source].T))
            continue
        if kind in _OF_VALUES:
            if source not in values:
                values[source] = _values(known[source])
            known.append(getattr(values[source], kind))
            continue
        if index not in orders:
            orders[index] = _order(known[index])
        order = orders[index]
        if kind in (ROWS, COLUMNS):
            if len(known[source]) != len(known[index]):
                raise RowsMisfit
            rows = known[source][order.rows]
            known.append(rows if kind == ROWS else np.ascontiguousarray(rows.T))
        else:
            known.append(getattr(order, kind))
    return known[len(arrays) :]


class _Values(NamedTuple):
    distinct: np.ndarray  # (n_distinct,), rising
    places: np.ndarray  # int64, of the array's shape
    times: np.ndarray  # (n_distinct,) int64


def _values(array: np.ndarray) -> _Values:
    distinct, places, times = np.unique(array, return_inverse=True, return_counts=True)
    return _Values(distinct, places.reshape(array.shape), times)


def _order(index: np.ndarray) -> _Order:
    by_group = np.argsort(index, kind="stable")
    groups, first, n_rows = np.unique(index[by_group], return_index=True, return_counts=True)
    n_pieces = -(-n_rows // LONGEST)
    group = np.repeat(np.arange(len(groups)), n_pieces)
    number = np.arange(len(group)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    # Where the pieces of a group begin in it: at equal parts of its rows, rounded.
    begin = number * n_rows[group] // n_pieces[group]
    count = (number + 1) * n_rows[group] // n_pieces[group] - begin
    begin += first[group]
    longest_first = np.argsort(-count, kind="stable")
    idle = np.zeros(-len(group) % LANES, dtype=np.int64)
    count = np.concatenate([count[longest_first], idle])
    begin = np.concatenate([begin[longest_first], idle])
    pieces = np.concatenate([groups[group[longest_first]], np.repeat(groups[:1], len(idle))])
    steps = count[::LANES]
    begins = np.concatenate([[0], np.cumsum(steps)]) * LANES
    slice_of = np.repeat(np.arange(len(steps)), steps)
    step = np.arange(len(slice_of)) - np.repeat(begins[:-1] // LANES, steps)
    lane = slice_of[:, None] * LANES + np.arange(LANES)
    place = begin[lane] + np.minimum(step[:, None], np.maximum(count[lane] - 1, 0))
    return _Order(pieces, count, begins, by_group[place].ravel())


def arranged_of(facts: Sequence, arrays: Sequence[tuple[np.dtype, int]]) -> tuple[Arranged, ...]:
    """Make them of their facts, and dtype and rank of each array; raises ValueError if they make no sense."""
    found = tuple(Arranged(*each) for each in facts)
    first = len(arrays) - len(found)
    for number, (kind, index, source) in enumerate(found, first):
        is_index = lengths.is_index(index, number) and arrays[index][1] == 1 and arrays[index][0].kind in "iu"
        rank = arrays[source][1] if lengths.is_index(source, number) else 0
        has_rows = {ROWS: rank > 0, COLUMNS: rank == 2}.get(kind, True)
        is_right = (kind in _KINDS and is_index and has_rows) or (kind in _OF_VALUES and rank > 0)
        is_right = is_right or (kind == TRANSPOSED and rank == 2)
        if not is_right:
            raise ValueError("the order of rows by groups makes no sense")
    return found
