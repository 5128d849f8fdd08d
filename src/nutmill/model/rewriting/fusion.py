"""Fuses what an elementwise loop reads and what becomes of it: indexed rows, sums over everything.

PyTensor 3 has a rewrite for this and PyTensor 2 has none; this one serves both, and keeps out of the loop what would
stop it from being vectorised: additions at indices, which may meet the same place twice.
"""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import NamedTuple

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import graph_rewriter
from pytensor.graph.utils import InconsistencyError
from pytensor.scalar import basic as scalar_ops
from pytensor.tensor.elemwise import CAReduce, Elemwise
from pytensor.tensor.rewriting.elemwise import FusionOptimizer

from nutmill.model.compat import TakenRows, taken_rows
from nutmill.model.graphs.properties import is_known

_MANY = 1024  # operands of one loop: as PyTensor has it with a C compiler

REDUCERS = (scalar_ops.Add, scalar_ops.Mul, scalar_ops.Maximum, scalar_ops.Minimum, scalar_ops.AND, scalar_ops.OR)


def _with_globals(function: Callable, **others: object) -> Callable:
    """The same code, for which some names of its module mean something else; nobody else notices."""
    return FunctionType(function.__code__, {**function.__globals__, **others}, closure=function.__closure__)


class WideFusion(FusionOptimizer):
    """PyTensor's fusion of elementwise operations, without the bound of 32 operands that NumPy's loops have.

    PyTensor has that bound where it has no C compiler, and leaves what is beyond it without any fusion.
    """

    apply = _with_globals(FusionOptimizer.apply, elemwise_max_operands_fct=lambda node: _MANY)


class Stored(NamedTuple):
    """A result of the loop that is kept as an array, new or in place of an operand."""

    output: int  # of the elementwise operation
    in_place_of: int | None


class Reduced(NamedTuple):
    """A result of the loop that is reduced to one value."""

    output: int
    reduction: CAReduce


class CompiledOp(Op):
    """An op that a rewrite puts in the place of others, between the last rewrite and the code."""

    def make_node(self, *inputs: Variable) -> Apply:
        """Is never called: the rewrite knows the types of the results."""
        raise NotImplementedError("this op is made by a rewrite")

    def perform(self, node, inputs, output_storage):
        """Is never called: there is only code for it."""
        raise NotImplementedError("this op is only compiled")


class FusedLoop(CompiledOp):
    """An elementwise operation that reads some operands by an index, and reduces some results.

    `indices` has for each operand of `scalar_op` the position of the index vector among the inputs, or None. With
    `triangle`, of square matrices, the loop goes along each row as far as the diagonal, and a little beyond: what is
    stored above the diagonal means nothing, and sums are those of the lower triangle.
    """

    __props__ = ("indices", "results", "scalar_op", "triangle")

    def __init__(
        self, scalar_op, indices: Sequence[int | None], results: Sequence[Stored | Reduced], triangle: bool = False
    ):
        self.scalar_op = scalar_op
        self.indices = tuple(indices)
        self.results = tuple(results)
        self.triangle = triangle
        stored = {i: result for i, result in enumerate(results) if isinstance(result, Stored)}
        self.destroy_map = {i: [result.in_place_of] for i, result in stored.items() if result.in_place_of is not None}


@graph_rewriter
def fuse_loops(fgraph: FunctionGraph) -> None:
    """Replace each elementwise node, with the indexed rows that only it reads and the sums of its results.

    Runs after the rewrites that work in place.
    """
    for node in fgraph.toposort():
        if isinstance(node.op, Elemwise) and node in fgraph.apply_nodes:
            _fuse(fgraph, node)


def _fuse(fgraph: FunctionGraph, node: Apply) -> None:
    if not is_numeric(node) or not is_known(node.op):
        return
    inputs, indices = _read(fgraph, node)
    results, replaced = _written(fgraph, node, indices)
    if all(index is None for index in indices) and not any(isinstance(r, Reduced) for r in results):
        return
    op = FusedLoop(node.op.scalar_op, indices, results)
    outputs = [variable.type() for variable in replaced]
    fused = Apply(op, inputs, outputs)
    try:
        fgraph.replace_all_validate(list(zip(replaced, fused.outputs, strict=True)), reason="fuse_loops")
    except InconsistencyError:
        return


def is_numeric(node: Apply) -> bool:
    """Whether all that a node reads and gives are truth values, integers and real numbers."""
    return all(np.dtype(v.type.dtype).kind in "biuf" for v in (*node.inputs, *node.outputs))


def _read(fgraph: FunctionGraph, node: Apply) -> tuple[list[Variable], list[int | None]]:
    """Inputs of the fused node, and which operands are read by an index."""
    inputs: list[Variable] = []
    indices: list[int | None] = []
    positions: dict[Variable, int] = {}
    for variable in node.inputs:
        rows = taken_rows(variable.owner)
        # Rows that are read only here need not be copied first.
        if rows is not None and _can_be_read(rows, variable) and len(fgraph.clients[variable]) == 1:
            inputs.append(rows.array)
            indices.append(positions.setdefault(rows.index, len(node.inputs) + len(positions)))
        else:
            inputs.append(variable)
            indices.append(None)
    return [*inputs, *positions], indices


def _can_be_read(rows: TakenRows, variable: Variable) -> bool:
    is_plain = is_known(variable.owner.op)
    return is_plain and not variable.type.broadcastable[0]


def _written(fgraph: FunctionGraph, node: Apply, indices: Sequence[int | None]):
    """Results of the fused node, and what each of them replaces."""
    results: list[Stored | Reduced] = []
    replaced: list[Variable] = []
    for number, variable in enumerate(node.outputs):
        reducers = [client for client, _ in fgraph.clients[variable] if is_full_reduction(client)]
        if len(reducers) < len(fgraph.clients[variable]):
            source = node.op.inplace_pattern.get(number)
            kept = None if source is None or indices[source] is not None else source
            results.append(Stored(number, kept))
            replaced.append(variable)
        for reducer in reducers:
            results.append(Reduced(number, reducer.op))
            replaced.append(reducer.outputs[0])
    return results, replaced


def is_full_reduction(client: object) -> bool:
    """Whether a client of a variable reduces it to one number, in a way that is written here."""
    if not isinstance(client, Apply) or not isinstance(client.op, CAReduce) or not is_known(client.op):
        return False
    return has_reducer(client) and client.inputs[0].type.ndim > 0 and client.outputs[0].type.ndim == 0


def has_reducer(node: Apply) -> bool:
    """Whether a `CAReduce` node reduces by one of `REDUCERS`, to and from dtypes that these know."""
    dtypes = node.inputs[0].type.dtype, node.outputs[0].type.dtype
    return type(node.op.scalar_op) in REDUCERS and all(np.dtype(dtype).kind in "bif" for dtype in dtypes)
