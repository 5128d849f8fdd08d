"""What is known of a compiled model besides its code: parameters, data, reported variables, labels; all plain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

_N_NAMED = 5

Dims = tuple[str | None, ...]
Labels = Sequence | np.ndarray


class Parameter(NamedTuple):
    """A free variable on the unconstrained scale: a piece of the flat position."""

    name: str
    rv_name: str  # of the constrained variable
    dims: Dims | None = None


class DataArray(NamedTuple):
    """An array that the model reads: a constant, observed data, `pm.Data`, or the length of a dimension."""

    name: str | None  # None: a constant without a name, which `with_data` cannot replace
    value: np.ndarray
    observed: bool
    broadcast: tuple[int, ...] = ()  # axes of length one, over which the model broadcasts
    is_fixed: bool = False  # the length of a dimension that is part of the code


def owned(value: np.ndarray) -> np.ndarray:
    """Copy an array that others may change; what has been computed from it would not follow."""
    mine = np.array(value, order="C")
    mine.flags.writeable = False
    return mine


def first_names(names: Sequence[str]) -> str:
    """Name the first few, for people: "mu, tau, theta"."""
    return ", ".join([*names[:_N_NAMED], *["..."] * (len(names) > _N_NAMED)])


class Reported(NamedTuple):
    """A variable that is reported of each draw."""

    dims: Dims | None
    parameter: int | None  # number of the parameter that it is; None: `expand` computes it


@dataclass(frozen=True)
class Description:
    """A compiled model in plain values: names, shapes, data."""

    parameters: tuple[Parameter, ...]  # in the order of the flat position
    arrays: tuple[DataArray, ...]  # in the order of the data record
    reported: Mapping[str, Reported]  # in the model's order
    coords: Mapping[str, Labels] = field(default_factory=dict)  # labels of dimensions
    array_dims: Mapping[str, Dims] = field(default_factory=dict)  # of arrays and variables
    # Names of what goes into the groups ``observed_data`` and ``constant_data``; see `native.origin`.
    observed: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()  # arrays that a file was written without

    @property
    def values(self) -> list[np.ndarray]:
        """The data, in the order of the record."""
        return [array.value for array in self.arrays]

    @property
    def names(self) -> list[str]:
        """Names of the parameters."""
        return [parameter.name for parameter in self.parameters]

    @property
    def dims(self) -> set[str | None]:
        """Names of all dimensions."""
        return {dim for dims in self.array_dims.values() for dim in dims} | set(self.coords)

    def is_length(self, array: DataArray) -> bool:
        """Whether an array is the length of a dimension; data may have the name of one."""
        return array.name in self.dims and array.value.ndim == 0
