"""Rows of many fits go to a Zarr folder as they are made: memory stays flat, and what is there is read meanwhile."""

import json
import shutil
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import xarray as xr

from nutmill.errors import ModelError
from nutmill.many.datasets import DataSet
from nutmill.many.gathered import joined, labels_of, missing, named, ragged_of
from nutmill.many.keeping import FITS, LENGTHS, Arrays, Groups
from nutmill.many.same_call import DataDigest, difference, facts_from_json
from nutmill.native.description import Description
from nutmill.native.labels import coordinates
from nutmill.results.storage import ZARR, check_target

# An attribute of the whole while fits are still to come: such a folder may be begun anew.
UNFINISHED = "unfinished"
# Attributes of a finished one: what it was made of, by which the same call knows it.
CALL, DATA_SETS = "call", "data_sets"
# Rows that wait in memory, and those of a chunk of an array: no more than so many, nor of more bytes.
_MOST_ROWS = 1024
_MOST_BYTES = 16 * 2**20


def is_finished(path: Path, seed: int | None) -> bool:
    """Whether a folder holds a finished result of a call with the same seed; with None all are of others.

    Raises ModelError if it holds another one, or could not be written.
    """
    if path.suffix != ZARR:
        raise ModelError(f"to= names a folder {ZARR}, which grows while fits are made, not {path.name!r}.")
    check_target(path)
    attrs = _open(path, "r").attrs if path.exists() else {UNFINISHED: True}
    if attrs.get(UNFINISHED):
        return False
    if seed is None or CALL not in attrs:
        raise _of_another(path)
    if attrs["random_seed"] != str(seed):
        raise _of_another(path, "another random_seed")
    return True


def finished_result(path: Path, facts: Mapping[str, Any], sets: Iterator[DataSet]) -> xr.DataTree:
    """Give the finished result of the same call; raises ModelError if it is of another, or of other data sets."""
    attrs, digest = _open(path, "r").attrs, DataDigest()
    if differs := difference(facts, facts_from_json(attrs[CALL])):
        raise _of_another(path, differs)
    for _ in digest.watch(sets):
        pass
    if digest.hexdigest() != attrs[DATA_SETS]:
        raise _of_another(path, "other data sets")
    return _read(path)


def _of_another(path: Path, differs: str = "") -> ModelError:
    what = f"of {differs}, " if differs else ""
    return ModelError(f"{path} holds a finished result, {what}which is not replaced: name another, or remove it.")


class ZarrRows:
    """Appends rows to arrays on the disk, within a `with`; takes them as `Gathered` does.

    The folder is begun anew. Rows wait in memory for at most `every_s`, and not if they are many.
    """

    def __init__(self, path: Path, description: Description, attrs: Mapping[str, Any], every_s: float):
        self._path, self._description, self._attrs, self._every_s = path, description, attrs, every_s
        self._keys: list[Hashable] = []
        self._rows: list[Groups] = []
        self._arrays: dict[str, dict[str, Any]] = {}  # Zarr's, by group and name
        self._dims: dict[str, None] = {}  # of the model, whose lengths are written for each fit
        self._n_bytes = self._n_written = 0
        self._written_s = time.monotonic()

    def __enter__(self) -> Self:
        with _as_model_error(self._path):
            if self._path.exists():
                shutil.rmtree(self._path)
            self._root = _open(self._path, "w")
            self._root.attrs.update({**self._attrs, UNFINISHED: True})
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._write()

    def add(self, key: Hashable, row: Groups) -> None:
        """Take the next row; its arrays are not to be changed any more."""
        self._keys.append(key)
        self._rows.append(row)
        self._n_bytes += sum(array.nbytes for arrays in row.values() for array in arrays.values())
        is_late = time.monotonic() - self._written_s >= self._every_s
        if is_late or len(self._rows) == _MOST_ROWS or self._n_bytes >= _MOST_BYTES:
            self._write()

    def add_many(self, keys: Sequence[Hashable], groups: Groups) -> None:
        """Take rows that are stacked already."""
        self._write()
        self._keys += keys
        self._append(groups, len(keys))

    def finish(self, facts: Mapping[str, Any], data_sets: str) -> xr.DataTree:
        """Write labels, and what all was made of, and give all that is there.

        `facts` are those of `same_call.facts_of_call`, `data_sets` is the digest of all. Arrays are read when they are
        looked at.
        """
        self._write()
        with _as_model_error(self._path):
            fits = self._root[FITS]
            lengths = {dim: fits[f"n_{dim}"][:] for dim in self._dims}
            ragged = ragged_of(lengths, fits["failed"][:])
            for dim in lengths:
                if dim not in ragged:
                    del fits[f"n_{dim}"]
            labels = labels_of(self._description, ragged, self._keys)
            for group, arrays in self._arrays.items():
                sizes = {
                    dim: size
                    for array in arrays.values()
                    for dim, size in zip(array.metadata.dimension_names, array.shape, strict=True)
                }
                # As text of any length: a fixed one has no form of its own in Zarr 3.
                found = {
                    dim: (dim, values.astype(object) if values.dtype.kind == "U" else values)
                    for dim, (_, values) in coordinates(sizes, labels).items()
                }
                xr.Dataset(coords=found).to_zarr(self._path, group=group, mode="a", consolidated=False)
            self._root.attrs.update({CALL: json.dumps(facts), DATA_SETS: data_sets})
            del self._root.attrs[UNFINISHED]
            return _read(self._path)

    def _write(self) -> None:
        if self._rows:
            rows, self._rows, self._n_bytes = self._rows, [], 0
            self._append(joined(rows), len(rows))
        self._written_s = time.monotonic()

    def _append(self, groups: Mapping[str, Arrays], count: int) -> None:
        written_lengths = {f"n_{dim}": lengths.astype(np.int64) for dim, lengths in groups.get(LENGTHS, {}).items()}
        self._dims |= dict.fromkeys(groups.get(LENGTHS, {}))
        groups = {group: arrays for group, arrays in groups.items() if group != LENGTHS}
        groups[FITS] = {**groups[FITS], **written_lengths}
        with _as_model_error(self._path):
            for group, arrays in groups.items():
                for name, variable in named(group, arrays, self._description, {}).data_vars.items():
                    self._put(group, str(name), variable)
            self._n_written += count
            for arrays in self._arrays.values():
                for array in arrays.values():
                    array.resize((self._n_written, *array.shape[1:]))

    def _put(self, group: str, name: str, rows: xr.DataArray) -> None:
        """Write rows of a variable behind those that are there; where others are longer or shorter, is NaN or 0."""
        arrays = self._arrays.setdefault(group, {})
        if name not in arrays:
            arrays[name] = self._new_array(group, name, rows)
        array, is_text = arrays[name], rows.dtype.kind == "U"
        if not is_text and np.result_type(array.dtype, rows) != array.dtype:
            raise ModelError(
                f"{name} is of {array.dtype.name} in the first fits, and of {rows.dtype.name} in one of those from "
                f"{self._n_written} on: with to= keep must return one type for each name, such as a float."
            )
        first, longest = self._n_written, map(max, array.shape[1:], rows.shape[1:])
        array.resize((first + len(rows), *longest))
        values = rows.values.astype(object) if is_text else rows.values
        array[(slice(first, None), *map(slice, rows.shape[1:]))] = values

    def _new_array(self, group: str, name: str, rows: xr.DataArray) -> Any:
        """Make an array for a variable: of no rows yet."""
        chunk = max(1, min(_MOST_ROWS, len(rows) * _MOST_BYTES // max(rows.nbytes, 1)))
        is_text = rows.dtype.kind == "U"
        return self._root.require_group(group).create_array(
            name,
            shape=(0, *rows.shape[1:]),
            dtype="string" if is_text else rows.dtype.name,
            chunks=(chunk, *(max(1, length) for length in rows.shape[1:])),
            fill_value=missing(rows.dtype),
            dimension_names=[str(dim) for dim in rows.dims],
        )


def _read(path: Path) -> xr.DataTree:
    return xr.open_datatree(path, engine="zarr", consolidated=False)


def _open(path: Path, mode: Any) -> Any:
    """Open the folder; Zarr takes long to load, and is there only for who stores results."""
    import zarr

    return zarr.open_group(path, mode=mode, zarr_format=3 if mode == "w" else None)


@contextmanager
def _as_model_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(f"The result {path} cannot be written: {error.strerror or error}.") from error
