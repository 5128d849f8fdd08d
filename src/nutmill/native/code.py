"""Native code of one model, for any data: what runs, and the facts by which data are bound to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nutmill.native.container import Entry
from nutmill.native.grouping import Arranged, arranged_of
from nutmill.native.in_python import InPython
from nutmill.native.lengths import Lengths, lengths_of
from nutmill.native.object import NativeObject
from nutmill.native.processor import Target
from nutmill.native.record import ENTRY_WORDS, Slot
from nutmill.nuts.state import SHIFTED

OBJECT = "object"


@dataclass(frozen=True)
class Code:
    """Native code of one model, for any data: what each data set is bound to."""

    native: NativeObject  # the loaded object of the model; its entries follow `model/lowering/lower.py`
    # The loaded object of the sampler, the same for all models; its entries follow `nuts/entry.py`.
    kernel: NativeObject
    target: Target  # the processors that the model's object was made for
    # Where each parameter, array, length, prepared array and arranged array lies in the record, in this order.
    slots: Sequence[Slot]
    n_prepared: int  # how many of the slots `prepare` fills
    # Names that `expand` computes, with their dtypes and ranks; the others are pieces of the position.
    expanded: Mapping[str, np.dtype]
    expanded_ranks: Sequence[int]
    # Of each parameter that the kernel may stretch: its number, its centredness in the model as it is written, and
    # how its elements hang together (`GroupState.joint`). The slots of their centrednesses come before those
    # that `prepare` fills.
    sites: tuple[tuple[int, float, int], ...] = ()
    # Keep what Numba's engine needs to run the functions that `native` leads to; none where it holds them itself.
    owners: Sequence[object] = ()
    # What the arrays of the last slots are, which binding makes of those before them.
    arranged: tuple[Arranged, ...] = ()
    # Gives the lengths and other numbers of data that native code reads.
    lengths: Lengths = field(default_factory=Lengths)
    fused: bool = True  # the model's functions lie in `native`; False: it leads to functions in Numba's engine
    stands_alone: bool = True  # it is fused and holds no addresses of this process: it means the same in another one
    python_ops: tuple[str, ...] = ()  # ops that run in the interpreter, because they have no native form
    has_tiles: bool = False  # its density goes through rows of data in tiles, which threads can share
    # What stands between the kernel and functions that call back into Python; None if none does.
    in_python: InPython | None = None
    # Who wrote the operations: "nutmill", with PyTensor's Numba forms for what it does not know; "numba", which is
    # these forms alone; "njit", which is Numba from a density of the user's.
    lowering: str = "nutmill"
    # The operations that nutmill left to PyTensor's Numba forms, by the names of their classes.
    by_numba: tuple[str, ...] = ()
    # Seconds of CPU of each step of the compile, or of finding the code in the cache.
    stages: dict[str, float] = field(default_factory=dict)
    from_cache: bool = False  # nothing was compiled
    key: str | None = None  # under which the cache has it, if it may
    peak_bytes: int = 0  # the most memory of the process that compiled it, if that was another one

    @cached_property
    def calls_blas(self) -> bool:
        """Whether it may call BLAS; what Numba has compiled may do so unseen."""
        return not self.fused or bool(self.native.blas_routines)

    @property
    def n_arrays(self) -> int:
        """How many arrays of data it is bound to."""
        of_data = sum(not slot.is_parameter for slot in self.slots)
        return of_data - len(self.sites) - len(self.lengths.results) - self.n_prepared - len(self.arranged)

    @property
    def scaled(self) -> list[bool]:
        """Whether each site has a scale; an intercept has but a location."""
        return [kind != SHIFTED for *_, kind in self.sites]

    def address(self, name: str) -> int:
        """Address of entry `name` of the model or the kernel."""
        return (self.native if name in ENTRY_WORDS else self.kernel).address(name)

    def lowered_by(self) -> str:
        """Say in a few words who wrote the operations."""
        if self.lowering == "njit":
            return "Numba, from a density in Python"
        if self.lowering == "numba":
            return "PyTensor's Numba forms"
        rest = f", and PyTensor's Numba forms of {', '.join(self.by_numba)}" if self.by_numba else ""
        return f"nutmill's own LLVM IR{rest}"

    def facts(self) -> dict:
        """All that `code_of` needs besides the objects, as JSON can say it."""
        ranks = self.expanded_ranks
        return {
            "target": list(self.target),
            "slots": [[slot.word, slot.dtype.str, slot.ndim, slot.is_parameter] for slot in self.slots],
            "n_prepared": self.n_prepared,
            "arranged": [list(each) for each in self.arranged],
            "lengths": self.lengths.facts(),
            "sites": [list(site) for site in self.sites],
            "expanded": [[name, d.str, rank] for (name, d), rank in zip(self.expanded.items(), ranks, strict=True)],
            "has_tiles": self.has_tiles,
            "lowering": self.lowering,
            "by_numba": list(self.by_numba),
        }


def entry_of(code: Code) -> Entry:
    """Pack fused code; the kernel is not in it."""
    return Entry(code.facts(), {OBJECT: code.native.code})


def code_of(entry: Entry, kernel: NativeObject, stages: dict[str, float]) -> Code:
    """Load what `entry_of` packed."""
    facts = entry.manifest
    slots = [Slot(word, np.dtype(dtype), ndim, is_parameter) for word, dtype, ndim, is_parameter in facts["slots"]]
    arrays = [(slot.dtype, slot.ndim) for slot in slots if not slot.is_parameter]
    return Code(
        native=NativeObject(entry.parts[OBJECT]),
        kernel=kernel,
        target=Target.from_list(facts["target"]),
        slots=slots,
        n_prepared=facts["n_prepared"],
        arranged=arranged_of(facts["arranged"], arrays),
        lengths=lengths_of(facts["lengths"], arrays),
        sites=_sites_of(facts["sites"], sum(slot.is_parameter for slot in slots)),
        expanded={name: np.dtype(dtype) for name, dtype, _ in facts["expanded"]},
        expanded_ranks=[rank for _, _, rank in facts["expanded"]],
        has_tiles=facts["has_tiles"],
        lowering=facts["lowering"],
        by_numba=tuple(facts["by_numba"]),
        stages=stages,
        from_cache=True,
    )


def _sites_of(facts: Sequence, n_parameters: int) -> tuple[tuple[int, float, int], ...]:
    """Read the sites of a model; raises ValueError if they are of no parameters."""
    sites = tuple((number, float(written), int(joint)) for number, written, joint in facts)
    if any(type(number) is not int or not 0 <= number < n_parameters for number, *_ in sites):
        raise ValueError("its sites are those of no parameters")
    return sites


def object_in(entry: Entry) -> bytes:
    """Return the object file in what `entry_of` packed."""
    return entry.parts[OBJECT]
