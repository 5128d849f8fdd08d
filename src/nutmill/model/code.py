"""Native code of one model: what runs, what data sets are bound to, and how it goes to the cache and comes back."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nutmill.model import cache, environment
from nutmill.model.entry import Entry
from nutmill.model.fingerprint import fingerprint
from nutmill.model.graph import ModelGraph
from nutmill.model.kernel import DENSITY_FREE, shared_kernel
from nutmill.model.lower import Lowered
from nutmill.model.native import NativeObject, unresolved
from nutmill.model.record import Slot

_log = logging.getLogger("nutmill")

_KIND = "model"
_OBJECT = "object"
_NAMES_TOLD = 5


@dataclass(frozen=True)
class Code:
    """Native code of one model, for any data: what each data set is bound to.

    Attributes
    ----------
    native
        The loaded object; its entries follow `model/lower.py` and `nuts/entry.py`.
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
    python_ops
        Ops that run in the interpreter, because they have no native form.
    stages
        Seconds of CPU of each step of the compile, or of finding the code in the cache.
    from_cache
        Nothing was compiled.
    """

    native: NativeObject
    slots: Sequence[Slot]
    pointers: Mapping[str, Lowered]
    n_prepared: int
    expanded: Mapping[str, np.dtype]
    expanded_ranks: Sequence[int]
    fused: bool
    python_ops: tuple[str, ...]
    stages: dict[str, float] = field(default_factory=dict)
    from_cache: bool = False

    def address(self, name: str) -> int:
        """Address of entry `name` of the model or the kernel."""
        return (shared_kernel() if name in DENSITY_FREE else self.native).address(name)


def cache_key(graph: ModelGraph) -> str | None:
    """Key of a model's fused code: its structure, and all that code is made with; None, and a log line, if none."""
    name = fingerprint(graph)
    reason = name.reason or environment.customised()
    if reason:
        _log.info("this model is compiled and not cached: %s", reason)
        return None
    return environment.digest({"structure": name.digest} | environment.for_models())


def find(key: str, stages: dict[str, float]) -> Code | None:
    """Load code from the cache."""
    entry = cache.load(_KIND, key, environment.for_models())
    if entry is None:
        return None
    missing = unresolved(entry.parts[_OBJECT])
    if missing:
        _log.warning("code from the cache is not used: this process lacks %s", ", ".join(missing))
        return None
    facts = entry.manifest
    return Code(
        native=NativeObject(entry.parts[_OBJECT]),
        slots=[Slot(word, np.dtype(dtype), ndim, is_parameter) for word, dtype, ndim, is_parameter in facts["slots"]],
        pointers={},
        n_prepared=facts["n_prepared"],
        expanded={name: np.dtype(dtype) for name, dtype, _ in facts["expanded"]},
        expanded_ranks=[rank for _, _, rank in facts["expanded"]],
        fused=True,
        python_ops=(),
        stages=stages,
        from_cache=True,
    )


def keep(key: str, code: Code, graph: ModelGraph) -> None:
    """Store fused code in the cache."""
    if not environment.is_current():
        _log.info("this model's code is not cached: nutmill's sources have changed since this process began")
        return
    facts = {
        "slots": [[slot.word, slot.dtype.str, slot.ndim, slot.is_parameter] for slot in code.slots],
        "n_prepared": code.n_prepared,
        "expanded": [
            [name, dtype.str, rank]
            for (name, dtype), rank in zip(code.expanded.items(), code.expanded_ranks, strict=True)
        ],
    }
    names = [parameter.rv_name for parameter in graph.parameters]
    about = ", ".join(names[:_NAMES_TOLD] + ["..."] * (len(names) > _NAMES_TOLD))
    cache.store(_KIND, key, environment.for_models(), Entry(facts, {_OBJECT: code.native.code}), about)
