"""From a `ModelGraph` to native code: the steps in order, timed, under one lock."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import pytensor.link.numba.dispatch  # noqa: F401  registers the Numba form of every op
import pytensor.tensor as pt
from pytensor.gradient import grad
from pytensor.graph.basic import Variable
from pytensor.link.numba.dispatch.basic import numba_funcify_ensure_cache

from nutmill.errors import ModelError
from nutmill.model import lower
from nutmill.model.blas import declare_slots
from nutmill.model.fuse import Bitcode, Unlinkable, fuse
from nutmill.model.graph import ModelGraph
from nutmill.model.kernel import kernel_bitcode, shared_kernel
from nutmill.model.native import NativeObject
from nutmill.model.record import Slot, layout
from nutmill.model.rewrite import Rewritten, rewrite, simplify

# Entries of the kernel that never call a density.
DENSITY_FREE = ("pool",)

# PyTensor's rewrites and Numba's compiler keep process-wide state: one model at a time.
_COMPILING = Lock()


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
        Seconds of CPU of each step of the compile.
    """

    native: NativeObject
    slots: Sequence[Slot]
    pointers: Mapping[str, lower.Lowered]
    n_prepared: int
    expanded: Mapping[str, np.dtype]
    expanded_ranks: Sequence[int]
    fused: bool
    python_ops: tuple[str, ...]
    stages: dict[str, float] = field(default_factory=dict)

    def address(self, name: str) -> int:
        """Address of entry `name` of the model or the kernel."""
        return (shared_kernel() if name in DENSITY_FREE else self.native).address(name)


def compile_graph(graph: ModelGraph, *, fuse_kernel: bool = True) -> Code:
    """Compile density, gradient and reported variables of a model, and link them with the kernel.

    Raises
    ------
    ModelError
        If an op has neither a native nor a Python form, or the log density is not a differentiable scalar.
    """
    with _COMPILING:
        return _compile(graph, fuse_kernel)


def _compile(graph: ModelGraph, fuse_kernel: bool) -> Code:
    stages: dict[str, float] = {}
    declare_slots()
    with _naming_python_ops() as python_ops:
        lowered, slots, n_prepared = (_lower_native if graph.native_density else _lower_graph)(graph, stages)
    with _stage(stages, "link"):
        native, fused = _link(lowered, fuse_kernel and not python_ops)
    computed = _computed(graph)
    return Code(
        native=native,
        slots=slots,
        pointers={} if fused else lowered,
        n_prepared=n_prepared,
        expanded={name: np.dtype(variable.type.dtype) for name, variable in computed.items()},
        expanded_ranks=[variable.type.ndim for variable in computed.values()],
        fused=fused,
        python_ops=tuple(python_ops),
        stages=stages,
    )


def _lower_graph(graph: ModelGraph, stages: dict[str, float]) -> tuple[dict[str, lower.Lowered], list[Slot], int]:
    parameters = [p.variable for p in graph.parameters]
    arrays = [a.variable for a in graph.arrays]
    computed = list(_computed(graph).values())
    with _stage(stages, "rewrite"):
        density = rewrite(parameters, arrays, _density_outputs(graph), hoist=True)
        expand = rewrite(parameters, arrays, computed, hoist=False)
        prepare = rewrite([], arrays, density.hoisted, hoist=False)
    slots = layout(_kinds(parameters), _kinds([*arrays, *density.hoisted]))
    n_given = len(parameters) + len(arrays)
    with _stage(stages, "lower"):
        lowered = {"density": lower.density_entry(_funcify(density), slots)}
        if computed:
            lowered["expand"] = lower.expand_entry(_funcify(expand), slots[:n_given])
        if density.hoisted:
            lowered["prepare"] = lower.prepare_entry(_funcify(prepare), slots[len(parameters) : n_given])
    return lowered, slots, len(density.hoisted)


def _lower_native(graph: ModelGraph, stages: dict[str, float]) -> tuple[dict[str, lower.Lowered], list[Slot], int]:
    slots = layout(_kinds([graph.parameters[0].variable]), _kinds([a.variable for a in graph.arrays]))
    with _stage(stages, "lower"):
        entry = lower.native_density_entry(graph.native_density, slots, data_is_tuple=graph.data_is_tuple)
    return {"density": entry}, slots, 0


def _computed(graph: ModelGraph) -> dict[str, Variable]:
    """Reported variables that are not simply pieces of the position."""
    pieces = [p.variable for p in graph.parameters]
    return {name: node.variable for name, node in graph.expanded.items() if node.variable not in pieces}


def _density_outputs(graph: ModelGraph) -> list[Variable]:
    if graph.logp.type.ndim != 0:
        raise ModelError(f"The log density must be a scalar, not an array of rank {graph.logp.type.ndim}: sum it.")
    logp = simplify(pt.cast(graph.logp, "float64"))
    try:
        gradients = grad(logp, [p.variable for p in graph.parameters], disconnected_inputs="ignore")
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(f"The model has no gradient, which NUTS needs: {error}") from error
    return [logp, *gradients]


def _kinds(variables: Sequence[Variable]) -> list[tuple[str, int]]:
    return [(variable.type.dtype, variable.type.ndim) for variable in variables]


def _funcify(rewritten: Rewritten) -> Callable:
    function, _ = numba_funcify_ensure_cache(rewritten.fgraph)
    return function


def _link(lowered: Mapping[str, lower.Lowered], fuse_kernel: bool) -> tuple[NativeObject, bool]:
    if fuse_kernel:
        try:
            return NativeObject(fuse(_calling_the_density(kernel_bitcode()), lowered)), True
        except Unlinkable:
            warnings.warn(
                "nutmill: an op of this model looks something up in Python, so the model runs unfused, through a "
                "function pointer; draws are the same in distribution.",
                stacklevel=2,
            )
    return shared_kernel(), False


def _calling_the_density(kernel: Mapping[str, Bitcode]) -> dict[str, Bitcode]:
    """The entries worth optimising again with each model; the shared kernel serves the others."""
    return {name: entry for name, entry in kernel.items() if name not in DENSITY_FREE}


@contextmanager
def _stage(stages: dict[str, float], name: str):
    start = time.process_time()
    yield
    stages[name] = time.process_time() - start


@contextmanager
def _naming_python_ops():
    """Collect the ops for which PyTensor announces that they run in the interpreter."""
    python_ops: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield python_ops
    for warning in caught:
        message = str(warning.message)
        if "object mode" in message:
            python_ops.append(message.removeprefix("Numba will use object mode to run ").split("'s perform")[0])
    if python_ops:
        warnings.warn(
            f"nutmill: {', '.join(python_ops)} has no native implementation and runs in Python, once a gradient, "
            "with one chain at a time; write it with PyTensor's ops to have it compiled.",
            stacklevel=2,
        )
