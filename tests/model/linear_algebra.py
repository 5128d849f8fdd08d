"""What the tests of lean linear algebra share: a mode, layouts of arrays, and matrices."""

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import get_mode

from nutmill.model.lowering.inline.linear_algebra import batched  # noqa: F401  gives the lean ops their Numba form
from nutmill.model.lowering.slots import declare_slots
from nutmill.model.rewriting.blas.lean import lean_rewriter
from nutmill.model.rewriting.blas.ops import LeanOp

declare_slots()
MODE = get_mode("NUMBA").register((lean_rewriter(), 47.0))
# Products and solves differ from NumPy's in the order of sums only.
ROUNDING = 1e-12


def lean_function(inputs, outputs):
    """Compile by PyTensor with the rewriter alone."""
    function = pytensor.function(inputs, outputs, mode=MODE)
    assert_lean(function.maker.fgraph)
    return function


def assert_lean(graph):
    """Check that something was rewritten, and that nothing of PyTensor's linear algebra is left."""
    ops = [node.op for node in graph.apply_nodes]
    assert any(isinstance(op, LeanOp) for op in ops)
    left = {
        "Dot",
        "BatchedDot",
        "Blockwise",
        "BlockwiseWithCoreShape",
        "Cholesky",
        "SolveTriangular",
        "Solve",
    }
    left |= {"CholeskySolve", "MatrixInverse", "SLogDet", "Det"}
    assert not left & {type(op).__name__ for op in ops}


LAYOUTS = {
    "rows": lambda a: np.ascontiguousarray(a),
    "columns": lambda a: np.asfortranarray(a),
    "part of rows": lambda a: np.repeat(a, 2, axis=0)[::2],
    "part of columns": lambda a: np.repeat(np.asfortranarray(a), 2, axis=1)[:, ::2],
    "neither axis has stride 1": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
}


def positive_definite(rng, *shape):
    """Random symmetric positive definite matrices of shape (..., n, n)."""
    half = rng.normal(size=(*shape, shape[-1] + 3))
    return half @ np.swapaxes(half, -1, -2)


def open_tensor(array):
    """Variable for an array of which only lengths of 1 are known beforehand, as with symbolic shapes."""
    return pt.tensor(shape=[1 if n == 1 else None for n in array.shape], dtype="float64")
