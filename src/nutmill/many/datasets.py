"""What a user may give as many data sets, a stream, a table or a Dataset, becomes one data set after the other."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nutmill.errors import ArgumentError, ModelError, NutmillError


class DataSet(NamedTuple):
    """One data set."""

    number: int  # its place among all, from 0 on; its random numbers depend on it
    key: Hashable  # what it is called in the result
    arrays: Mapping[str, Any]  # from names of `pm.Data` and observed variables to values


def data_sets(given: Any, by: str | None = None) -> Iterator[DataSet]:
    """Go through what the user gave, from the first on; nothing of a stream is read ahead.

    That is an iterable of mappings from names to arrays, or of pairs of a key and such a mapping; a mapping from keys
    to such mappings; a table of pandas or polars, with the column `by` which says to which data set a row belongs; or
    an `xarray.Dataset`, with the dimension `by` of data sets. Raises ArgumentError if it is none of these; ModelError
    with what is wrong with one, and where: what a stream raises is its cause.
    """
    return _numbered(_pairs_of(given, by))


def _numbered(pairs: Iterator[tuple[Hashable, Mapping[str, Any]]]) -> Iterator[DataSet]:
    keys: set[Hashable] = set()
    number = -1
    for number, (key, arrays) in enumerate(pairs):
        try:
            is_known = key in keys
        except TypeError as error:
            raise ModelError(f"Data set {number} has the key {key!r:.60}: take a text, a number or a date.") from error
        if is_known:
            raise ModelError(f"Two data sets are called {key!r}: give each its own key, or none.")
        keys.add(key)
        yield DataSet(number, key, arrays)
    if number < 0:
        raise ModelError("There are no data sets: nothing to fit.")


def count_of(given: Any, by: str | None = None) -> int | None:
    """How many data sets there are; None where a stream does not say. For what `data_sets` has taken."""
    if _is_dataset(given):
        return given.sizes.get(by)
    if _is_table(given):
        column = _column_names(given, by)[by]
        return len(np.unique(np.asarray(given[column]).astype(str)))
    return len(given) if hasattr(given, "__len__") else None


def _pairs_of(given: Any, by: str | None) -> Iterator[tuple[Hashable, Mapping[str, Any]]]:
    if _is_dataset(given):
        _check_dimension(given, by)
        return _of_dataset(given, by)
    if _is_table(given):
        return _of_table(given, by, _column_names(given, by))
    if by is not None:
        raise ArgumentError("by names a column of a table or a dimension of a Dataset, and the data sets are neither.")
    if isinstance(given, Mapping):
        return ((key, _checked(arrays, key)) for key, arrays in given.items())
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return _of_stream(given)
    raise ArgumentError(
        "datasets must be an iterable of mappings from names of data to arrays, a table with by=, or an "
        f"xarray.Dataset with by=, not {type(given).__name__}."
    )


def _of_stream(given: Iterable) -> Iterator[tuple[Hashable, Mapping[str, Any]]]:
    items, number = iter(given), 0
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except NutmillError:  # it says itself what is wrong
            raise
        except Exception as error:
            raise ModelError(
                f"The data sets ended after {number} of them with an error: {type(error).__name__}: {error}."
            ) from error
        is_pair = isinstance(item, tuple) and len(item) == 2
        key, arrays = item if is_pair else (number, item)
        yield key, _checked(arrays, key)
        number += 1


def _checked(arrays: Any, key: Hashable) -> Mapping[str, Any]:
    if _is_table(arrays):
        raise ModelError(
            f"Data set {key!r} is a table: pass one table of all, and by= the column that tells them apart."
        )
    if not isinstance(arrays, Mapping):
        raise ModelError(
            f"Data set {key!r} must be a mapping from names of data to arrays, not {type(arrays).__name__}; one data "
            "set alone goes into a list."
        )
    return arrays


def _is_table(given: Any) -> bool:
    """Whether it is a table of pandas, polars or the like: none of them is imported for that."""
    return hasattr(given, "columns") and hasattr(given, "__getitem__") and not isinstance(given, Mapping)


def _is_dataset(given: Any) -> bool:
    return hasattr(given, "data_vars") and hasattr(given, "isel")


def _column_names(table: Any, by: str | None) -> dict[Any, Any]:
    """Columns of a table by their names as text; raises ArgumentError if they do not tell data sets apart."""
    names = [str(name) for name in table.columns]
    if by not in names:
        instead = "by= must say" if by is None else f"There is no column {by}: by= must say"
        raise ArgumentError(f"{instead} which column tells data sets apart; the table has {', '.join(names)}.")
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise ArgumentError(f"Two columns of the table are called {twice[0]}: rename or drop one of them.")
    if len(names) == 1:
        raise ArgumentError(f"The table has no columns of data beside {by}.")
    return dict(zip(names, table.columns, strict=True))


def _of_table(table: Any, by: str | None, columns: Mapping[Any, Any]) -> Iterator[tuple[Hashable, Mapping[str, Any]]]:
    """Group the rows of a table, which keep their order, by a column; groups in the order of their keys."""
    values = {name: np.asarray(table[column]) for name, column in columns.items()}
    keys, missing = values.pop(by), np.asarray(_is_missing(table[columns[by]]))
    if missing.any():
        raise ModelError(f"Column {by} has no value in row {int(np.argmax(missing))}: drop such rows.")
    found, group_of = np.unique(keys, return_inverse=True)
    order, sizes = np.argsort(group_of, kind="stable"), np.bincount(group_of, minlength=len(found))
    # What is left after the last group is none.
    rows = dict(zip(found.tolist(), np.split(order, np.cumsum(sizes)), strict=False))
    none = np.zeros(0, np.int64)
    for key in [*rows, *(name for name in _categories(table[columns[by]]) if name not in rows)]:
        yield key, {name: column[rows.get(key, none)] for name, column in values.items()}


def _is_missing(column: Any) -> Any:
    return column.isna() if hasattr(column, "isna") else column.is_null()


def _categories(column: Any) -> list:
    """Categories that pandas knows of a column, those of no row too."""
    return list(column.cat.categories) if hasattr(getattr(column, "cat", None), "categories") else []


def _of_dataset(dataset: Any, by: str | None) -> Iterator[tuple[Hashable, Mapping[str, Any]]]:
    """Go along one dimension of an `xarray.Dataset`; variables without it are the same for all."""
    for number, key in enumerate(dataset[by].values.tolist()):
        one = dataset.isel({by: number})
        yield key, {str(name): one[name].values for name in dataset.data_vars}


def _check_dimension(dataset: Any, by: Any) -> None:
    """Raise ArgumentError if there is nothing that it could be cut into."""
    if by is None or by not in map(str, dataset.sizes):
        raise ArgumentError(f"by must name a dimension of the Dataset, one of {', '.join(map(str, dataset.sizes))}.")
    if not dataset.data_vars:
        raise ArgumentError("The Dataset has no variables: data are variables of it, not coordinates.")
