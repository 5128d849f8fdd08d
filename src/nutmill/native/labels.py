"""Names for the axes of variables, and labels along them, in forms that netCDF and Zarr can store."""

import datetime
from collections.abc import Iterable, Mapping, Sequence

import numpy as np


def known_sizes(coords: Mapping[str, Iterable | None]) -> dict[str, int]:
    """Give the length of each dimension that has labels."""
    return {dim: len(list(labels)) for dim, labels in coords.items() if labels is not None}


def fitting_dims(
    name: str, shape: tuple[int, ...], wanted: Sequence[str | None], sizes: Mapping[str, int]
) -> tuple[str, ...]:
    """Name the axes of one variable.

    Parameters
    ----------
    name
        The variable's name; an axis without a name of its own is called ``{name}_dim_{axis}``, as ArviZ does.
    shape
        Its shape without chain and draw.
    wanted
        A dimension for each axis, None for an axis without one; empty for a variable without dimensions. One
        of another length than in `sizes` is not used, nor is one used twice.
    sizes
        Lengths of the dimensions known so far.
    """
    if len(wanted) != len(shape):
        wanted = (None,) * len(shape)
    dims: list[str] = []
    for axis, (dim, length) in enumerate(zip(wanted, shape, strict=True)):
        if dim is None or dim in dims or sizes.get(dim, length) != length:
            dim = f"{name}_dim_{axis}"
        dims.append(dim)
    return tuple(dims)


def misfit(wanted: Sequence[str | None], dims: tuple[str, ...]) -> bool:
    """Say whether a dimension that was asked for is not among the ones given."""
    return any(dim is not None and dim not in dims for dim in wanted)


def coordinates(sizes: Mapping[str, int], coords: Mapping[str, Iterable | None]) -> dict[str, tuple[str, np.ndarray]]:
    """Give labels for each dimension of `sizes`: those of the model, or 0, 1, 2, ..."""
    labels = {}
    for dim, size in sizes.items():
        values = coords.get(dim)
        array = np.arange(size) if values is None else label_array(values)
        labels[dim] = (dim, array if len(array) == size else np.arange(size))
    return labels


def label_array(values: Iterable) -> np.ndarray:
    """Turn labels of any kind into a vector (n,) of numbers, of times or of text.

    Labels that a file cannot hold become text: of the tuples of a MultiIndex the parts, joined by commas.
    """
    values = list(values)
    kinds = {type(value) for value in values}
    if any(issubclass(kind, tuple) for kind in kinds):
        return np.array([_text(value) for value in values], dtype=str)
    if kinds and all(issubclass(kind, datetime.date) for kind in kinds):
        import pandas as pd  # here: whoever loads a model or works for an executor has no dates to turn into labels

        values = list(pd.DatetimeIndex(values).to_numpy())
    array = np.array(values)
    if array.ndim == 1 and array.dtype.kind in "biufMmU":
        return array
    return np.array([_text(value) for value in values], dtype=str)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
