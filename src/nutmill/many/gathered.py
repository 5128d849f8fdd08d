"""Rows of many fits become arrays, and these one tree of xarray."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from nutmill.many.keeping import FITS, LENGTHS, Arrays, Groups
from nutmill.native.description import Description
from nutmill.native.labels import coordinates, fitting_dims, label_array
from nutmill.nuts.mixing_room import SUMMARY

# Rows that are stacked at a time: a row by itself takes many times the memory of its numbers.
_STACKED = 512

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
        self._stacks: list[dict[str, dict[str, np.ndarray]]] = []

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
        self._stacks.append({group: dict(arrays) for group, arrays in groups.items()})

    def groups(self) -> Groups:
        """Give all rows as arrays, (n, ...) each, by group and name."""
        self._stack()
        self._stacks = [_joined(self._stacks, [len(stack[FITS]["failed"]) for stack in self._stacks])]
        return {**self._stacks[0]}

    def _stack(self) -> None:
        if self._rows:
            self._stacks.append(joined(self._rows))
            self._rows = []


def joined(rows: Sequence[Groups]) -> dict[str, dict[str, np.ndarray]]:
    """Stack rows: arrays (n, ...) by group and name."""
    return _joined([{group: _as_rows(arrays) for group, arrays in row.items()} for row in rows], [1] * len(rows))


def _as_rows(arrays: Arrays) -> dict[str, np.ndarray]:
    return {name: array[None] for name, array in arrays.items()}


def _joined(
    parts: Sequence[dict[str, dict[str, np.ndarray]]], counts: Sequence[int]
) -> dict[str, dict[str, np.ndarray]]:
    """Join arrays along their first axis, and take them out of `parts`; what is missing of some is NaN or 0."""
    names: dict[str, dict[str, None]] = {}
    for part in parts:
        for group, arrays in part.items():
            names.setdefault(group, {}).update(dict.fromkeys(arrays))
    ends = np.cumsum(counts)
    whole: dict[str, dict[str, np.ndarray]] = {}
    for group, of_group in names.items():
        made: dict[str, np.ndarray] = {}
        for name in of_group:
            # Taken out, so that parts and whole are there at the same time of one variable alone.
            found = [part[group].pop(name, None) if group in part else None for part in parts]
            made[name] = _side_by_side(found, counts, ends)
        whole[group] = made
    return whole


def _side_by_side(found: Sequence[np.ndarray | None], counts: Sequence[int], ends: np.ndarray) -> np.ndarray:
    there = [array for array in found if array is not None]
    shape = tuple(np.max([array.shape[1:] for array in there], axis=0).astype(int).tolist())
    dtype = np.result_type(*there)
    made = np.full((int(ends[-1]), *shape), np.nan if dtype.kind == "f" else 0, dtype)
    for array, count, end in zip(found, counts, ends, strict=True):
        if array is not None:
            made[(slice(end - count, end), *(slice(length) for length in array.shape[1:]))] = array
    return made


def tree_of(gathered: Gathered, description: Description, attrs: Mapping[str, Any]) -> xr.DataTree:
    """Name the axes of all arrays, and put them into one tree.

    Parameters
    ----------
    gathered : Gathered
    description : Description
        Of the model, whose dimensions and labels are taken.
    attrs : mapping
        Of the whole.
    """
    groups = gathered.groups()
    ragged = _ragged(groups.pop(LENGTHS, {}), groups[FITS]["failed"])
    labels = {dim: values for dim, values in description.coords.items() if dim not in ragged}
    labels = {**labels, "statistic": np.array(SUMMARY), DATASET: label_array(gathered.keys)}
    groups[FITS] = {**groups[FITS], **{f"n_{dim}": lengths for dim, lengths in ragged.items()}}
    tree = xr.DataTree.from_dict(
        {
            name: variables_of(arrays, _LEADING.get(name, (DATASET,)), description, labels)
            for name, arrays in groups.items()
        }
    )
    tree.attrs = dict(attrs)
    return tree


def _ragged(lengths: Mapping[str, np.ndarray], failed: np.ndarray) -> dict[str, np.ndarray]:
    """Lengths in each fit of the dimensions that are not of one length in all."""
    found = {dim: each.astype(np.int64) for dim, each in lengths.items()}
    return {dim: each for dim, each in found.items() if len(np.unique(each[~failed])) > 1}


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
