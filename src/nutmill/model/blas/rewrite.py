"""Replaces PyTensor's BLAS- and LAPACK-bound ops by lean ones, in one graph and for no one else."""

from pytensor.graph.basic import Variable
from pytensor.graph.rewriting.basic import (
    GraphRewriter,
    SequentialGraphRewriter,
    copy_stack_trace,
    dfs_rewriter,
    node_rewriter,
)
from pytensor.tensor.basic import cast, expand_dims
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.math import Dot, exp
from pytensor.tensor.rewriting.basic import constant_folding
from pytensor.tensor.rewriting.elemwise import local_dimshuffle_lift

from nutmill.model.blas.ops import (
    LeanCholesky,
    LeanCholeskySolve,
    LeanDot,
    LeanInverse,
    LeanLogDeterminant,
    LeanMatrixVector,
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
        return expand_dims(LeanMatrixVector()(x, y.squeeze(-1)), -1)
    if x.type.broadcastable[-2]:
        return expand_dims(LeanMatrixVector()(y.mT, x.squeeze(-2)), -2)
    return LeanDot()(x, y)


def _solve(op: Solve, a, b):
    """Solve by the assumption on the matrix; bands stay with PyTensor, whose routines cost less there."""
    if op.assume_a == "pos":
        return LeanCholeskySolve(op.lower)(LeanCholesky(op.lower)(a), b)
    if op.assume_a in ("gen", "sym", "her"):
        return LeanSolve(op.assume_a != "gen", op.lower)(a, b)
    return None


def _determinant(op, x):
    sign, logarithm = LeanLogDeterminant()(x)
    return sign * exp(logarithm)


# What takes the place of an op of PyTensor, given the op and its operands; None leaves it where it is.
_LEAN = {
    Dot: _product,
    BatchedDot: _product,
    Cholesky: lambda op, a: LeanCholesky(op.lower)(a),
    SolveTriangular: lambda op, a, b: LeanSolveTriangular(op.lower, op.unit_diagonal)(a, b),
    CholeskySolve: lambda op, factor, b: LeanCholeskySolve(op.lower)(factor, b),
    Solve: _solve,
    MatrixInverse: lambda op, a: LeanInverse()(a),
    SLogDet: lambda op, a: LeanLogDeterminant()(a),
    Det: _determinant,
}


@node_rewriter([*_LEAN, Blockwise])
def _to_lean(fgraph, node):
    core_op = node.op.core_op if isinstance(node.op, Blockwise) else node.op
    if type(core_op) not in _LEAN or any(out.type.dtype != "float64" for out in node.outputs):
        return None
    operands = [x if x.type.dtype == "float64" else cast(x, "float64") for x in node.inputs]
    results = _LEAN[type(core_op)](core_op, *operands)
    if results is None:
        return None
    results = [results] if isinstance(results, Variable) else results
    copy_stack_trace(node.outputs, results)
    return results
