"""What a model computes outside of sampling: where chains start, what data it shows, whether its indices fit."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from nutmill.native.processor import Target

Arrays = Sequence[np.ndarray]


class Origin(Protocol):
    """How to compute it: `model.source.GraphOrigin` asks PyTensor, `native.stored.StoredOrigin` machine code.

    Arrays are the data in the order of the record; positions are pieces, one for each parameter, unconstrained.
    """

    def stored(self, arrays: Arrays, target: Target) -> "Origin":
        """The same for a file, with machine code for a processor; raises ModelError if there is none."""

    def start(self, arrays: Arrays, seed: int) -> list[np.ndarray]:
        """Initial value of each parameter; random ones draw from streams made of `seed`."""

    def start_given(self, given: Mapping[str, object], arrays: Arrays, seed: int) -> list[np.ndarray]:
        """The same where the user gives some values by name; raises TypeError or ValueError if they do not fit."""

    def shown(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Observed and constant data of the result, by name."""

    def misfits(self, pieces: Arrays, arrays: Arrays) -> list[str]:
        """Say which indices lie outside of what they index, a clause each."""

    def not_finite(self, pieces: Arrays, arrays: Arrays) -> dict[str, float]:
        """Log density of each variable of the model where it is not finite at a position, by name."""

    def with_log_likelihood(self, result):
        """Add the group ``log_likelihood`` to a result; raises ModelError where that is not known."""


def misfits(names: Sequence[str], bounds: Sequence[np.ndarray]) -> list[str]:
    """Say which arrays of indices, by name, reach too far: least index, greatest index, length of what is indexed."""
    clauses = []
    for name, (lowest, highest, length) in zip(names, bounds, strict=True):
        if highest >= length or lowest < -length:
            index = highest if highest >= length else lowest
            clauses.append(f"{name} has the index {index}, and what it indexes has length {length}")
    return clauses
