"""Rows of many fits become arrays, and these one tree of xarray."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from nutmill.many.keeping import FITS, LENGTHS, Arrays, Groups
from nutmill.native.description import Description
from nutmill.native.labels import coordinates, fitting_dims, label_array
from nutmill.nuts.summaries.mixing_room import SUMMARY

# Rows that are stacked at a time: a row by itself takes many times the memory of its numbers.
_STACKED = 512
# By how much an array grows that is full: growing moves pages, and what is not filled yet is memory all the same.
_GROWTH = 1.1

DATASET = "dataset"
# What stands before the axes of a variable, by group.
_LEADING = {
    "summary": (DATASET, "statistic"),
    "posterior": (DATASET, "chain", "draw"),
    "sample_stats": (DATASET, "chain", "draw"),
    "log_likelihood": (DATASET, "chain", "draw"),
}


class Gathered:
    """Collects rows in their order."""

    def __init__(self) -> None:
        self.keys: list[Hashable] = []
        self._rows: list[Groups] = []
        self._columns: dict[str, dict[str, _Column]] = {}
        self._n_stacked = 0

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, key: Hashable, row: Groups) -> None:
        """Take the next row; its arrays are not to be changed any more."""
        self.keys.append(key)
        self._rows.append(row)
        if len(self._rows) == _STACKED:
            self._stack()

    def add_many(self, keys: Sequence[Hashable], groups: Groups) -> None:
        """Take rows that are stacked already."""
        self._stack()
        self.keys += keys
        self._append(groups, len(keys))

    def groups(self) -> Groups:
        """Give all rows as arrays, (n, ...) each, by group and name; no more are taken after that."""
        self._stack()
        return {
            group: {name: column.whole(self._n_stacked) for name, column in columns.items()}
            for group, columns in self._columns.items()
        }

    def _stack(self) -> None:
        if self._rows:
            self._append(joined(self._rows), len(self._rows))
            self._rows = []

    def _append(self, groups: Mapping[str, Arrays], count: int) -> None:
        for group, arrays in groups.items():
            columns = self._columns.setdefault(group, {})
            for name, array in arrays.items():
                columns.setdefault(name, _Column()).put(array, self._n_stacked)
        self._n_stacked += count


class _Column:
    """Rows of one variable in one array that grows in place, so that no second one is ever beside it."""

    def __init__(self) -> None:
        self._array = np.zeros(0)
        self._n = -1  # rows; -1: not even their shape is known

    def put(self, rows: np.ndarray, first: int) -> None:
        """Write rows from `first` on; where there are none before, and beyond shorter ones, is NaN or 0."""
        if self._n < 0:
            self._array, self._n = np.zeros((0, *rows.shape[1:]), rows.dtype), 0
        shape = tuple(map(max, self._array.shape[1:], rows.shape[1:]))
        dtype = np.result_type(self._array, rows)
        if (shape, dtype) != (self._array.shape[1:], self._array.dtype):
            wider = _blank((self._n, *shape), dtype)
            wider[tuple(map(slice, (self._n, *self._array.shape[1:])))] = self._array[: self._n]
            self._array = wider
        self._grow_to(first + len(rows))
        places = (slice(first, None), *map(slice, rows.shape[1:]))
        self._array[: self._n][places] = rows

    def whole(self, count: int) -> np.ndarray:
        """Give the array of so many rows."""
        self._grow_to(count)
        self._array.resize((count, *self._array.shape[1:]), refcheck=False)
        return self._array

    def _grow_to(self, count: int) -> None:
        if count > len(self._array):
            room = max(count, int(_GROWTH * len(self._array)))
            self._array.resize((room, *self._array.shape[1:]), refcheck=False)  # moves pages, not numbers
        self._array[self._n : count] = missing(self._array.dtype)
        self._n = count


def joined(rows: Sequence[Groups]) -> dict[str, dict[str, np.ndarray]]:
    """Stack rows: arrays (n, ...) by group and name; what is missing of some is NaN or 0."""
    names: dict[str, dict[str, None]] = {}
    for row in rows:
        for group, arrays in row.items():
            names.setdefault(group, {}).update(dict.fromkeys(arrays))
    return {
        group: {name: _stacked([row.get(group, {}).get(name) for row in rows]) for name in of_group}
        for group, of_group in names.items()
    }


def _stacked(found: Sequence[np.ndarray | None]) -> np.ndarray:
    there = [array for array in found if array is not None]
    shape = tuple(np.max([array.shape for array in there], axis=0).astype(int).tolist())
    made = _blank((len(found), *shape), np.result_type(*there))
    for number, array in enumerate(found):
        if array is not None:
            made[(slice(number, number + 1), *map(slice, array.shape))] = array
    return made


def _blank(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.full(shape, missing(dtype), dtype)


def missing(dtype: np.dtype) -> Any:
    """What stands for a value that is not there: text is empty then."""
    return {"f": np.nan, "U": ""}.get(dtype.kind, 0)


def tree_of(gathered: Gathered, description: Description, attrs: Mapping[str, Any]) -> xr.DataTree:
    """Name the axes of all arrays as a model does, and put them into one tree; `attrs` are those of the whole."""
    groups = gathered.groups()
    ragged = ragged_of(groups.pop(LENGTHS, {}), groups[FITS]["failed"])
    labels = labels_of(description, ragged, gathered.keys)
    groups[FITS] = {**groups[FITS], **{f"n_{dim}": lengths for dim, lengths in ragged.items()}}
    tree = xr.DataTree.from_dict({name: named(name, arrays, description, labels) for name, arrays in groups.items()})
    tree.attrs = dict(attrs)
    return tree


def ragged_of(lengths: Mapping[str, np.ndarray], failed: np.ndarray) -> dict[str, np.ndarray]:
    """Lengths in each fit, (n,) each, of the dimensions that are not of one length in all."""
    found = {dim: each.astype(np.int64) for dim, each in lengths.items()}
    return {dim: each for dim, each in found.items() if len(np.unique(each[~failed])) > 1}


def labels_of(description: Description, ragged: Container[str], keys: Iterable[Hashable]) -> dict[str, Any]:
    """Labels by dimension: of the model where all fits have as many, of summaries, and the keys of data sets."""
    labels = {dim: values for dim, values in description.coords.items() if dim not in ragged}
    return {**labels, "statistic": np.array(SUMMARY), DATASET: label_array(keys)}


def named(group: str, arrays: Arrays, description: Description, labels: Mapping[str, Any]) -> xr.Dataset:
    """Name the axes of a group's arrays, whose first one is that of data sets."""
    return variables_of(arrays, _LEADING.get(group, (DATASET,)), description, labels)


def variables_of(
    arrays: Arrays, leading: tuple[str, ...], description: Description, labels: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """Make a Dataset of arrays whose first axes are `leading`, and whose other ones the model names."""
    sizes: dict[str, int] = {}
    variables = {}
    for name, array in arrays.items():
        reported = description.reported.get(name)
        wanted = (None if reported is None else reported.dims) or ()
        dims = (*leading, *fitting_dims(name, array.shape[len(leading) :], wanted, sizes))
        sizes |= dict(zip(dims, array.shape, strict=True))
        variables[name] = (dims, array)
    return xr.Dataset(variables, coords=coordinates(sizes, description.coords if labels is None else labels))
