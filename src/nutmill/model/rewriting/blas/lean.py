"""Replaces PyTensor's BLAS- and LAPACK-bound ops by lean ones, in one graph and for no one else."""

from collections.abc import Callable

import numpy as np
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.rewriting.basic import (
    GraphRewriter,
    SequentialGraphRewriter,
    copy_stack_trace,
    dfs_rewriter,
    node_rewriter,
)
from pytensor.tensor.basic import Eye, arange, cast, expand_dims, switch
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.math import Dot, eq, exp, gt, lt
from pytensor.tensor.rewriting.basic import constant_folding
from pytensor.tensor.rewriting.elemwise import local_dimshuffle_lift

from nutmill.model.compat import (
    QR,
    Cholesky,
    CholeskySolve,
    Det,
    Eigh,
    EighGrad,
    Eigvalsh,
    Expm,
    MatrixInverse,
    SLogDet,
    Solve,
    SolveTriangular,
    is_lower,
)
from nutmill.model.graphs.patterns import core_of, transposed_of
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting.blas.ops import (
    LeanCholesky,
    LeanCholeskySolve,
    LeanDot,
    LeanEigh,
    LeanExponential,
    LeanGram,
    LeanInverse,
    LeanLogDeterminant,
    LeanMatrixVector,
    LeanOp,
    LeanQR,
    LeanSolve,
    LeanSolveTriangular,
    LeanTridiagonalSolve,
)
from nutmill.model.rewriting.matrix_exponential import Exponential


def lean_rewriter() -> GraphRewriter:
    """Make the rewriter that replaces linear algebra by ops that survive linking and compile quickly.

    It takes linear algebra on float64, and products of float32. Run it after `specialize` and `uncanonicalize`, because
    they know PyTensor's own ops only, and before elementwise fusion (48) and the rewrites that work in place. BLAS
    rewrites must be left out, as Numba's linker does by itself::

        mode = get_mode("NUMBA").register((lean_rewriter(), 47))

    Call `slots.declare_slots` before the graph is compiled. Nodes with results of other dtypes stay as they are.
    """
    return SequentialGraphRewriter(dfs_rewriter(_to_lean), dfs_rewriter(local_dimshuffle_lift, constant_folding))


def _product(op, x, y):
    """Multiply by a vector where one operand is known to be a single column or row."""
    if y.type.broadcastable[-1]:
        return expand_dims(LeanMatrixVector()(x, y.squeeze(-1)), -1)
    if x.type.broadcastable[-2]:
        return expand_dims(LeanMatrixVector()(y.mT, x.squeeze(-2)), -2)
    if (transposed_of(y) is x or transposed_of(x) is y) and x.type.dtype == "float64":
        return LeanGram()(x)
    return LeanDot()(x, y)


def _solved(op: LeanOp, a, b):
    """Solve for a vector where the right-hand side is known to be a single column."""
    if b.type.ndim == a.type.ndim and b.type.broadcastable[-1]:
        return expand_dims(op(a, b.squeeze(-1)), -1)
    return op(a, b)


def _eigh(op, a, *others):
    """Eigenvalues of one symmetric matrix; those of two stay with PyTensor."""
    return None if others else LeanEigh(is_lower(op))(a)


def _eigvalsh(op, a, *others):
    """Eigenvalues alone, also those that PyMC's density of `CAR` asks for: of a matrix and the unit matrix."""
    return LeanEigh(op.lower)(a)[0] if all(map(_is_unit, others)) else None


def _is_unit(x: Variable) -> bool:
    """Whether a matrix is known to have ones on its diagonal and zeros elsewhere."""
    if isinstance(x, Constant):
        return np.array_equal(x.data, np.eye(len(x.data)))
    if x.owner is None or not isinstance(x.owner.op, Eye):
        return False
    offset = x.owner.inputs[2]
    return isinstance(offset, Constant) and offset.data == 0


def _eigh_gradient(op, a, values, vectors, by_values, by_vectors):
    """The gradient that PyTensor 2 computes in Python (Giles 2008, 3.1), of the triangle that is read."""
    number = arange(a.shape[-1])
    row, column = number[:, None], number[None, :]
    is_diagonal = eq(row, column)
    gaps = switch(is_diagonal, 1.0, values[..., :, None] - values[..., None, :])
    inner = LeanDot()(by_vectors.mT, vectors) / gaps
    inner = switch(is_diagonal, by_values[..., :, None], inner)
    whole = LeanDot()(LeanDot()(vectors, inner), vectors.mT)
    is_read = gt(row, column) if is_lower(op) else lt(row, column)
    return switch(is_diagonal, whole, switch(is_read, whole + whole.mT, 0.0))


def _qr(op, a):
    """Reduced factors; full ones, those of a permuted matrix and raw ones stay with PyTensor."""
    if op.pivoting or op.mode not in ("economic", "r"):
        return None
    if op.mode == "r" and not _is_wide(a):
        return None  # PyTensor's has rows of zeros below
    return LeanQR(op.mode == "economic")(a)


def _is_wide(a) -> bool:
    rows, columns = a.type.shape[-2:]
    return rows is not None and columns is not None and rows <= columns


def _solve(op: Solve, a, b):
    """Solve by the assumption on the matrix; bands of other widths stay with PyTensor."""
    if op.assume_a == "pos":
        return _solved(LeanCholeskySolve(op.lower), LeanCholesky(op.lower)(a), b)
    if op.assume_a == "tridiagonal":
        return _solved(LeanTridiagonalSolve(), a, b)
    if op.assume_a in ("gen", "sym", "her"):
        return LeanSolve(op.assume_a != "gen", op.lower)(a, b)
    return None


def _determinant(op, x):
    sign, logarithm = LeanLogDeterminant()(x)
    return sign * exp(logarithm)


_PRODUCTS = (Dot, BatchedDot)
# What takes the place of an op of PyTensor, given the op and its operands; None leaves it where it is.
_LEAN: dict[type, Callable] = {
    Dot: _product,
    BatchedDot: _product,
    Cholesky: lambda op, a: LeanCholesky(op.lower)(a),
    SolveTriangular: lambda op, a, b: _solved(LeanSolveTriangular(op.lower, op.unit_diagonal), a, b),
    CholeskySolve: lambda op, factor, b: _solved(LeanCholeskySolve(op.lower), factor, b),
    Solve: _solve,
    MatrixInverse: lambda op, a: LeanInverse()(a),
    SLogDet: lambda op, a: LeanLogDeterminant()(a),
    Det: _determinant,
    Eigh: _eigh,
    EighGrad: _eigh_gradient,
    Eigvalsh: _eigvalsh,
    QR: _qr,
    Expm: lambda op, a: LeanExponential()(a),
    Exponential: lambda op, a: LeanExponential()(a),
}


@node_rewriter([*_LEAN, Blockwise])
def _to_lean(fgraph, node):
    core_op = core_of(node.op)
    dtype = node.outputs[0].type.dtype
    known = ("float64", "float32") if isinstance(core_op, _PRODUCTS) else ("float64",)
    if type(core_op) not in _LEAN or not is_known(node.op):
        return None
    if any(out.type.dtype != dtype or dtype not in known for out in node.outputs):
        return None
    operands = [x if x.type.dtype == dtype else cast(x, dtype) for x in node.inputs]
    results = _LEAN[type(core_op)](core_op, *operands)
    if results is None:
        return None
    results = [results] if isinstance(results, Variable) else results
    copy_stack_trace(node.outputs, results)
    return results
