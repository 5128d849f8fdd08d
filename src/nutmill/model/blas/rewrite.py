"""Replaces PyTensor's BLAS- and LAPACK-bound ops by lean ones, in one graph and for no one else."""

from pytensor.graph.rewriting.basic import GraphRewriter, copy_stack_trace, dfs_rewriter, node_rewriter
from pytensor.tensor.basic import alloc, cast
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import shape_i
from pytensor.tensor.slinalg import Cholesky, CholeskySolve, SolveTriangular

from nutmill.model.blas.ops import LeanCholesky, LeanCholeskySolve, LeanDot, LeanOp, LeanSolveTriangular

# After the rewrites that know PyTensor's own ops (canonicalize to specialize), before elementwise fusion and before
# those that make ops work in place, which ours never do.
POSITION = 47.0

_LEAN = {
    Dot: lambda op: LeanDot(),
    BatchedDot: lambda op: LeanDot(),
    Cholesky: lambda op: LeanCholesky(op.lower),
    SolveTriangular: lambda op: LeanSolveTriangular(op.lower, op.unit_diagonal),
    CholeskySolve: lambda op: LeanCholeskySolve(op.lower),
}


def lean_rewriter() -> GraphRewriter:
    """Rewriter that replaces linear algebra on float64 by ops that survive linking and compile in little time.

    Register it at `POSITION`, with BLAS rewrites left out (Numba's linker leaves them out by itself)::

        mode = get_mode("NUMBA").register((lean_rewriter(), POSITION))

    or apply it to a graph after `specialize` and before elementwise fusion. Call `declare_slots` before the result is
    compiled. Nodes whose result is not float64 are left as they are.

    Returns
    -------
    GraphRewriter
    """
    return dfs_rewriter(_to_lean)


@node_rewriter([*_LEAN, Blockwise])
def _to_lean(fgraph, node):
    core_op = node.op.core_op if isinstance(node.op, Blockwise) else node.op
    if type(core_op) not in _LEAN or any(out.type.dtype != "float64" for out in node.outputs):
        return None
    lean = _LEAN[type(core_op)](core_op)
    operands = [x if x.type.dtype == "float64" else cast(x, "float64") for x in node.inputs]
    batch_axes = node.inputs[0].type.ndim - 2
    result = lean(*operands) if batch_axes <= 1 else _over_flat_batch(lean, operands, batch_axes)
    copy_stack_trace(node.outputs, result)
    return [result]


def _over_flat_batch(lean: LeanOp, operands, batch_axes: int):
    """Apply an op that knows one batch axis to operands that have several."""
    batch = [_broadcast_length(operands, axis) for axis in range(batch_axes)]
    result = lean(*(_flat_batch(operand, batch) for operand in operands))
    core = [_length(result, axis) for axis in range(1, result.type.ndim)]
    return result.reshape((*batch, *core))


def _flat_batch(operand, batch):
    """Merge the batch axes of an operand into one, of length 1 where the operand is the same for all items."""
    single = operand.type.broadcastable[: len(batch)]
    core = [_length(operand, axis) for axis in range(len(batch), operand.type.ndim)]
    if any(single) and not all(single):
        operand = alloc(operand, *batch, *core)
    return operand.reshape((1 if all(single) else -1, *core))


def _broadcast_length(operands, axis: int):
    """Length of a batch axis: that of the first operand which is not known to have length 1 there."""
    longest = next((x for x in operands if not x.type.broadcastable[axis]), operands[0])
    return _length(longest, axis)


def _length(x, axis: int):
    known = x.type.shape[axis]
    return shape_i(x, axis) if known is None else known
