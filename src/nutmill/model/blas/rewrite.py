"""Replaces PyTensor's BLAS- and LAPACK-bound ops by lean ones, in one graph and for no one else."""

from pytensor.graph.rewriting.basic import (
    GraphRewriter,
    SequentialGraphRewriter,
    copy_stack_trace,
    dfs_rewriter,
    node_rewriter,
)
from pytensor.tensor.basic import AllocDiag, alloc, cast, expand_dims
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.math import Dot, exp
from pytensor.tensor.rewriting.basic import constant_folding
from pytensor.tensor.rewriting.elemwise import local_dimshuffle_lift
from pytensor.tensor.shape import shape_i

from nutmill.model.blas.ops import (
    LeanCholesky,
    LeanCholeskySolve,
    LeanDiagonal,
    LeanDot,
    LeanInverse,
    LeanLogDeterminant,
    LeanMatrixVector,
    LeanOp,
    LeanSolve,
    LeanSolveTriangular,
)
from nutmill.model.compat import (
    Cholesky,
    CholeskySolve,
    Det,
    MatrixInverse,
    SLogDet,
    Solve,
    SolveTriangular,
)


def lean_rewriter() -> GraphRewriter:
    """Rewriter that replaces linear algebra on float64 by ops that survive linking and compile quickly.

    Run it after `specialize` and `uncanonicalize`, because they know PyTensor's own ops only, and before
    elementwise fusion (48) and the rewrites that work in place. BLAS rewrites must be left out, as Numba's
    linker does by itself::

        mode = get_mode("NUMBA").register((lean_rewriter(), 47))

    Call `declare_slots` before the graph is compiled. Nodes whose result is not float64 stay as they are.

    Returns
    -------
    GraphRewriter
    """
    return SequentialGraphRewriter(dfs_rewriter(_to_lean), dfs_rewriter(local_dimshuffle_lift, constant_folding))


def _product(op, x, y):
    """Multiply by a vector where one operand is known to be a single column or row."""
    if y.type.broadcastable[-1]:
        return [expand_dims(_over_batch(LeanMatrixVector(), x, y.squeeze(-1))[0], -1)]
    if x.type.broadcastable[-2]:
        return [expand_dims(_over_batch(LeanMatrixVector(), y.mT, x.squeeze(-2))[0], -2)]
    return _over_batch(LeanDot(), x, y)


def _solve(op: Solve, a, b):
    """Solve by the assumption on the matrix; bands stay with PyTensor, whose routines cost less there."""
    if op.assume_a == "pos":
        (factor,) = _over_batch(LeanCholesky(op.lower), a)
        return _over_batch(LeanCholeskySolve(op.lower), factor, b)
    if op.assume_a in ("gen", "sym", "her"):
        return _over_batch(LeanSolve(op.assume_a != "gen", op.lower), a, b)
    return None


def _determinant(op, x):
    sign, logarithm = _over_batch(LeanLogDeterminant(), x)
    return [sign * exp(logarithm)]


def _diagonal(op: AllocDiag, values):
    is_plain = values.type.ndim == 1 and op.offset == 0 and (op.axis1, op.axis2) == (0, 1)
    return [LeanDiagonal()(values)] if is_plain else None


# What takes the place of an op of PyTensor, given the op and its operands; None leaves it where it is.
_LEAN = {
    Dot: _product,
    BatchedDot: _product,
    Cholesky: lambda op, a: _over_batch(LeanCholesky(op.lower), a),
    SolveTriangular: lambda op, a, b: _over_batch(LeanSolveTriangular(op.lower, op.unit_diagonal), a, b),
    CholeskySolve: lambda op, factor, b: _over_batch(LeanCholeskySolve(op.lower), factor, b),
    Solve: _solve,
    MatrixInverse: lambda op, a: _over_batch(LeanInverse(), a),
    SLogDet: lambda op, a: _over_batch(LeanLogDeterminant(), a),
    Det: _determinant,
    AllocDiag: _diagonal,
}


@node_rewriter([*_LEAN, Blockwise])
def _to_lean(fgraph, node):
    core_op = node.op.core_op if isinstance(node.op, Blockwise) else node.op
    if type(core_op) not in _LEAN or any(out.type.dtype != "float64" for out in node.outputs):
        return None
    operands = [x if x.type.dtype == "float64" else cast(x, "float64") for x in node.inputs]
    results = _LEAN[type(core_op)](core_op, *operands)
    if results is not None:
        copy_stack_trace(node.outputs, results)
    return results


def _over_batch(lean: LeanOp, *operands):
    """Results of an op that knows one batch axis, on operands that may have several."""
    batch_axes = operands[0].type.ndim - 2
    if batch_axes <= 1:
        return lean(*operands, return_list=True)
    batch = [_broadcast_length(operands, axis) for axis in range(batch_axes)]
    results = lean(*(_flat_batch(operand, batch) for operand in operands), return_list=True)
    return [
        result.reshape((*batch, *(_length(result, axis) for axis in range(1, result.type.ndim)))) for result in results
    ]


def _flat_batch(operand, batch):
    """Merge the batch axes of an operand into one, of length 1 where all items share the operand."""
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
