"""Native code of one model, for any data: what runs, and the facts by which data are bound to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nutmill.native.entry import Entry
from nutmill.native.object import NativeObject
from nutmill.native.processor import Target
from nutmill.native.record import Slot

_OBJECT = "object"

# Entries that never call a density by its symbol: one object serves all models.
SHARED_ENTRIES = ("pool", "repeat")


class Pointer(NamedTuple):
    """A function of a model in Numba's engine, for code that is not fused."""

    address: int
    owner: object  # keeps what that engine needs to run it


@dataclass(frozen=True)
class Code:
    """Native code of one model, for any data: what each data set is bound to.

    Attributes
    ----------
    native
        The loaded object; its entries follow `model/lower.py` and `nuts/entry.py`.
    shared
        What no density is needed for: the same for all models.
    target
        The processors that it was made for.
    slots
        Where each parameter, each array and each prepared array lies in the record, in this order.
    pointers
        Functions of the model in Numba's engine, for the first words of the record; none in a fused object.
    n_prepared
        How many of the slots `prepare` fills.
    expanded, expanded_ranks
        Names that `expand` computes, with their dtypes and ranks; the others are pieces of the position.
    fused
        False: the kernel calls the model through a pointer.
    stands_alone
        It is fused and holds no addresses of this process: it means the same in another one.
    python_ops
        Ops that run in the interpreter, because they have no native form.
    stages
        Seconds of CPU of each step of the compile, or of finding the code in the cache.
    from_cache
        Nothing was compiled.
    key
        Under which the cache has it, if it may.
    peak_bytes
        The most memory of the process that compiled it, if that was another one.
    """

    native: NativeObject
    shared: NativeObject
    target: Target
    slots: Sequence[Slot]
    n_prepared: int
    expanded: Mapping[str, np.dtype]
    expanded_ranks: Sequence[int]
    pointers: Mapping[str, Pointer] = field(default_factory=dict)
    fused: bool = True
    stands_alone: bool = True
    python_ops: tuple[str, ...] = ()
    stages: dict[str, float] = field(default_factory=dict)
    from_cache: bool = False
    key: str | None = None
    peak_bytes: int = 0

    def address(self, name: str) -> int:
        """Address of entry `name` of the model or the kernel."""
        return (self.shared if name in SHARED_ENTRIES else self.native).address(name)

    def facts(self) -> dict:
        """All that `code_of` needs besides the objects, as JSON can say it."""
        ranks = self.expanded_ranks
        return {
            "target": list(self.target),
            "slots": [[slot.word, slot.dtype.str, slot.ndim, slot.is_parameter] for slot in self.slots],
            "n_prepared": self.n_prepared,
            "expanded": [[name, d.str, rank] for (name, d), rank in zip(self.expanded.items(), ranks, strict=True)],
        }


def entry_of(code: Code) -> Entry:
    """Pack fused code; the shared object is not in it."""
    return Entry(code.facts(), {_OBJECT: code.native.code})


def code_of(entry: Entry, shared: NativeObject, stages: dict[str, float]) -> Code:
    """Load what `entry_of` packed."""
    facts = entry.manifest
    return Code(
        native=NativeObject(entry.parts[_OBJECT]),
        shared=shared,
        target=Target.from_list(facts["target"]),
        slots=[Slot(word, np.dtype(dtype), ndim, is_parameter) for word, dtype, ndim, is_parameter in facts["slots"]],
        n_prepared=facts["n_prepared"],
        expanded={name: np.dtype(dtype) for name, dtype, _ in facts["expanded"]},
        expanded_ranks=[rank for _, _, rank in facts["expanded"]],
        stages=stages,
        from_cache=True,
    )


def object_in(entry: Entry) -> bytes:
    """Return the object file in what `entry_of` packed."""
    return entry.parts[_OBJECT]
