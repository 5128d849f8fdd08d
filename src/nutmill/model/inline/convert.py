"""From a rewritten graph to one Numba function: operations that we can write in place are, the others are calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytensor.graph.basic import Apply
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import scan
from pytensor.link.numba.dispatch.basic import numba_funcify, numba_njit, numba_typify
from pytensor.link.utils import fgraph_to_python
from pytensor.tensor.basic import Alloc, AllocEmpty, Join, MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.shape import Shape_i, SpecifyShape
from pytensor.tensor.subtensor import IncSubtensor, Subtensor

from nutmill.model.compat import CHANGING, TAKING
from nutmill.model.fusion import FusedLoop
from nutmill.model.inline import filling, fused, indexing, reductions, rows, views
from nutmill.model.inline.operation import Operation, as_function

_WRITERS: dict[type[Op], Callable[[Apply], Operation | None]] = {
    Elemwise: fused.elementwise,
    FusedLoop: fused.fused_loop,
    DimShuffle: views.dim_shuffle,
    CAReduce: reductions.reduction,
    Subtensor: indexing.subtensor,
    IncSubtensor: indexing.inc_subtensor,
    Alloc: filling.alloc,
    AllocEmpty: filling.uninitialised,
    MakeVector: filling.make_vector,
    Join: filling.join,
    SpecifyShape: views.specify_shape,
    Shape_i: views.length_of_axis,
    ScalarFromTensor: views.scalar_from_array,
    TensorFromScalar: views.array_from_scalar,
}
_WRITERS |= dict.fromkeys(TAKING, rows.take) | dict.fromkeys(CHANGING, rows.change)


def graph_function(fgraph: FunctionGraph, *, squeeze_output: bool = False) -> Callable:
    """Make the Numba function of a graph: (*inputs) -> tuple of outputs, or the output if `squeeze_output`.

    PyTensor's own conversion makes a Numba function for each operation, with others inside; its conversion is used
    here for the operations that `_WRITERS` does not know. Other functions in this process are compiled as before.
    """
    options = {"type_conversion_fn": numba_typify, "fgraph_name": "nutmill_graph", "squeeze_output": squeeze_output}
    python = fgraph_to_python(fgraph, _convert, **options)
    return numba_njit(python)


def _convert(op: Op, node: Apply, **options) -> Callable:
    writer = next((_WRITERS[kind] for kind in type(op).__mro__ if kind in _WRITERS), None)
    operation = writer(node) if writer else None
    if operation is not None:
        return as_function(operation)
    with _steps_in_place():
        return numba_funcify(op, node=node, **options)


@contextmanager
def _steps_in_place() -> Iterator[None]:
    """Let PyTensor's `Scan` take the step that it repeats from here; the caller holds the lock of the compiler."""
    original = scan.numba_funcify_and_cache_key
    scan.numba_funcify_and_cache_key = lambda fgraph, **_: (graph_function(fgraph), None)
    try:
        yield
    finally:
        scan.numba_funcify_and_cache_key = original
