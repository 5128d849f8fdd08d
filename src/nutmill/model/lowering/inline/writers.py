"""Which function writes which operation: where to look for the code of one, and what to extend by another.

`docs/architecture.md` says what else a new operation needs.
"""

from collections.abc import Callable, Mapping

from pytensor.compile.ops import DeepCopyOp, ViewOp
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.raise_op import CheckAndRaise
from pytensor.scan.op import Scan
from pytensor.tensor import basic
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp, SearchsortedOp
from pytensor.tensor.math import Argmax
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.sort import ArgSortOp, SortOp
from pytensor.tensor.subtensor import IncSubtensor, Subtensor

from nutmill.model.compat import CHANGING, TAKING, IfElse
from nutmill.model.graphs.hierarchies.linear_recurrence import LinearRecurrence, Neighbour
from nutmill.model.graphs.properties import is_known
from nutmill.model.lowering.inline import (
    branches,
    convolutions,
    filling,
    indexing,
    ordering,
    reshaping,
    sequences,
    views,
)
from nutmill.model.lowering.inline.elements import elementwise, reductions
from nutmill.model.lowering.inline.linear_algebra import batched, diagonals
from nutmill.model.lowering.inline.operation import Operation
from nutmill.model.lowering.inline.recursion import recurrences
from nutmill.model.lowering.inline.recursion.recursions import recursion
from nutmill.model.lowering.inline.rows import indexed_rows, lanes
from nutmill.model.lowering.inline.rows.tiled_rows import tiled_rows
from nutmill.model.lowering.inline.steps import StepProgram
from nutmill.model.rewriting.blas.ops import LeanOp
from nutmill.model.rewriting.convolution import Convolution
from nutmill.model.rewriting.fusion import FusedLoop
from nutmill.model.rewriting.rows.by_group import GroupedLoop
from nutmill.model.rewriting.rows.tiles import RowTiles

# A writer gives None for a node that it has no form for, which PyTensor's Numba form then computes.
WRITERS: dict[type[Op], Callable[[Apply], Operation | None]] = {
    Elemwise: elementwise.elementwise,
    FusedLoop: elementwise.fused_loop,
    GroupedLoop: lanes.grouped_loop,
    CAReduce: reductions.reduction,
    # The same elements, seen otherwise.
    DimShuffle: views.dim_shuffle,
    Reshape: reshaping.reshape,
    SpecifyShape: views.specify_shape,
    CheckAndRaise: views.checked,
    Shape: views.whole_shape,
    Shape_i: views.length_of_axis,
    basic.ScalarFromTensor: views.scalar_from_array,
    basic.TensorFromScalar: views.array_from_scalar,
    ViewOp: views.same_array,
    basic.ExtractDiag: diagonals.extract_diagonal,
    basic.Split: sequences.split,
    # Parts of arrays.
    Subtensor: indexing.subtensor,
    IncSubtensor: indexing.inc_subtensor,
    **dict.fromkeys(TAKING, indexed_rows.take),
    **dict.fromkeys(CHANGING, indexed_rows.change),
    # New arrays.
    basic.Alloc: filling.alloc,
    basic.AllocEmpty: filling.uninitialised,
    basic.MakeVector: filling.make_vector,
    basic.Join: filling.join,
    DeepCopyOp: filling.deep_copy,
    basic.AllocDiag: diagonals.lay_diagonal,
    basic.Eye: diagonals.unit_matrix,
    basic.ARange: sequences.numbers_in_order,
    IfElse: branches.if_else,
    # Along an axis.
    CumOp: sequences.running_total,
    Argmax: sequences.place_of_largest,
    SearchsortedOp: ordering.place_in_order,
    SortOp: ordering.in_order,
    ArgSortOp: ordering.order_of,
    Convolution: convolutions.convolution,
    LinearRecurrence: recurrences.linear_recurrence,
    Neighbour: recurrences.neighbour,
    # Linear algebra; `batched` has a table of its own.
    LeanOp: batched.lean,
}

# Of operations that hold a graph, which they repeat.
REPEATING: Mapping[type[Op], Callable[[Apply, StepProgram], Operation | None]] = {Scan: recursion, RowTiles: tiled_rows}


def operation_of(node: Apply, step_program: StepProgram) -> Operation | None:
    """What to write for a node; None if it is left to PyTensor's Numba form.

    `step_program` puts the operations of a graph that a node repeats in order.
    """
    kind = next((kind for kind in type(node.op).__mro__ if kind in WRITERS or kind in REPEATING), None)
    if kind is None or not is_known(node.op):
        return None
    return WRITERS[kind](node) if kind in WRITERS else REPEATING[kind](node, step_program)
