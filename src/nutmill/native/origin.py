"""What a model computes outside of sampling: where chains start, what data it shows, whether its indices fit."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from nutmill.native.code import Code
from nutmill.native.processor import Target

Arrays = Sequence[np.ndarray]


class Term(NamedTuple):
    """What one variable of the model adds to the log density.

    Attributes
    ----------
    log_density : float
        NaN where it cannot be computed.
    parameters : tuple of str
        Names of the parameters that it depends on.
    failure : str
        Why it cannot be computed: a condition on parameters that does not hold, or what an operation said.
    """

    log_density: float
    parameters: tuple[str, ...]
    failure: str = ""


class Guide(NamedTuple):
    """What helps to find a start where jitter finds none; a file knows neither."""

    # (one piece for each parameter) -> how many elements of the log density's terms are not finite there.
    misses: Callable[[Arrays], int] | None = None
    # (seed) -> a draw of each parameter from its prior, or its initial value where the prior is flat; None if there is
    # no such draw.
    prior: Callable[[int], list[np.ndarray] | None] | None = None
    n_operations: int = 0  # that `misses` runs, by Python


class Origin(Protocol):
    """How to compute it: `model.graph_origin.GraphOrigin` has PyTensor, `native.saved_origin.SavedOrigin` machine code.

    Arrays are the data in the order of the record; positions are pieces, one for each parameter, unconstrained.
    """

    def saved(self, arrays: Arrays, target: Target) -> "Origin":
        """The same for a file, with machine code for a processor; raises ModelError if there is none."""

    def start(self, arrays: Arrays, seed: int) -> list[np.ndarray]:
        """Initial value of each parameter; random ones draw from streams made of `seed`."""

    def start_given(self, given: Mapping[str, object], arrays: Arrays, seed: int) -> list[np.ndarray]:
        """The same where the user gives some values by name; raises TypeError or ValueError if they do not fit."""

    def shown(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Observed and constant data of the result, by name."""

    def misfits(self, pieces: Arrays, arrays: Arrays) -> list[str]:
        """Say which indices lie outside of what they index, a clause each."""

    def not_finite(self, pieces: Arrays, arrays: Arrays) -> dict[str, Term]:
        """Terms of the log density that are not finite at a position, by name of the variable."""

    def guide(self, arrays: Arrays) -> Guide:
        """What helps to find a start."""

    def likelihood(self, target: Target) -> Code:
        """Native code whose `expand` gives the log likelihood of each observation; raises ModelError if none is."""


class Index(NamedTuple):
    """An array by which a model indexes: of integers, or a mask of truth values."""

    name: str
    is_mask: bool


def misfits(indices: Sequence[Index], bounds: Sequence[np.ndarray]) -> list[str]:
    """Say which arrays do not fit what they index.

    `bounds` has three integers for each of the arrays `indices`: the least index, the greatest, the length of what is
    indexed; of a mask, which must have that length, its own length twice in place of the first two.
    """
    clauses = []
    for (name, is_mask), (lowest, highest, length) in zip(indices, bounds, strict=True):
        if is_mask and highest != length:
            clauses.append(f"{name} is a mask of length {highest}, and what it selects from has length {length}")
        elif not is_mask and (highest >= length or lowest < -length):
            index = highest if highest >= length else lowest
            clauses.append(f"{name} has the index {index}, and what it indexes has length {length}")
    return list(dict.fromkeys(clauses))
