"""Machine code of functions from arrays to arrays, for what a model computes once and not in each step."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nutmill.native.binding import computed
from nutmill.native.object import NativeObject
from nutmill.native.record import Slot, fill

Kind = tuple[np.dtype, int]  # dtype and rank of an array


class Signature(NamedTuple):
    """Where a function finds its arguments, and what it returns."""

    slots: tuple[Slot, ...]
    outputs: tuple[Kind, ...]


class Functions:
    """Functions in the form of `prepare`, in one object.

    `code` is the object file, empty if there are no functions; `signatures` are by the names of the entries.
    """

    def __init__(self, code: bytes, signatures: Mapping[str, Signature]):
        self.code = code
        self.signatures = dict(signatures)
        self._native = NativeObject(code) if code else None
        self._addresses = {name: self._native.address(name) for name in self.signatures} if self._native else {}

    def __contains__(self, name: str) -> bool:
        return name in self.signatures

    def __call__(self, name: str, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Compute the outputs of a function; raises ModelError if its arguments do not fit each other."""
        signature = self.signatures[name]
        record = fill(signature.slots, [], arrays)
        return computed(self._addresses[name], signature.outputs, record)

    def facts(self) -> dict:
        """All that `functions_of` needs besides the code, as JSON can say it."""
        return {
            name: {
                "slots": [[slot.word, slot.dtype.str, slot.ndim] for slot in signature.slots],
                "outputs": [[dtype.str, rank] for dtype, rank in signature.outputs],
            }
            for name, signature in self.signatures.items()
        }


def functions_of(code: bytes, facts: Mapping[str, dict]) -> Functions:
    """Load functions from their object file and their facts."""
    signatures = {
        name: Signature(
            slots=tuple(Slot(word, np.dtype(dtype), ndim, False) for word, dtype, ndim in of_one["slots"]),
            outputs=tuple((np.dtype(dtype), rank) for dtype, rank in of_one["outputs"]),
        )
        for name, of_one in facts.items()
    }
    return Functions(code, signatures)
