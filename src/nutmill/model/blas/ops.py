"""PyTensor ops whose Numba form calls BLAS and LAPACK through slots; made by the rewriter, never by users."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.type import tensor

from nutmill.model.blas import diagonals, factors, lu, products

# PyTensor keeps compiled ops on disk under this number, so it follows every change of the kernels' source.
_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
_VERSION = int.from_bytes(hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).digest()[:6])


class LeanOp(Op):
    """Linear algebra on float64, of which no gradient is taken any more.

    The first operand is a matrix, or a stack of them along one batch axis; then the others are stacks, too.
    """

    __props__: tuple[str, ...] = ()
    kernels: ClassVar[tuple[Callable, Callable]]  # for single operands, for stacks of them

    def __init__(self, *props: bool):
        for name, value in zip(self.__props__, props, strict=True):
            setattr(self, name, value)

    @property
    def props(self) -> tuple[bool, ...]:
        """The flags that the kernels take after the operands."""
        return tuple(getattr(self, name) for name in self.__props__)

    def kernel(self, node) -> Callable:
        """The compiled function for the ranks of this node's operands."""
        return self.kernels[node.inputs[0].type.ndim - 2]

    def core_shapes(self, *shapes):
        """Static shapes of the results without batch; unless overridden, one, that of the last operand."""
        return shapes[-1:]

    def make_node(self, *operands):
        """Apply the op to float64 operands, all of them with or all without a batch axis."""
        batch_axes = operands[0].type.ndim - 2
        shapes = [operand.type.shape for operand in operands]
        batch = max((shape[:batch_axes] for shape in shapes), key=lambda lengths: lengths != (1,))
        cores = self.core_shapes(*(shape[batch_axes:] for shape in shapes))
        return Apply(self, list(operands), [tensor(dtype="float64", shape=(*batch, *core)) for core in cores])

    def perform(self, node, inputs, output_storage):
        """Run the compiled kernel, for callers outside Numba."""
        results = self.kernel(node)(*inputs, *self.props)
        for storage, result in zip(output_storage, results if len(node.outputs) > 1 else [results], strict=True):
            storage[0] = result


class LeanDot(LeanOp):
    """Product of two matrices."""

    kernels = (products.matrix_product, products.batched_matrix_product)

    def core_shapes(self, left, right):
        """(n, k) and (k, m) give (n, m)."""
        return [(left[0], right[1])]


class LeanMatrixVector(LeanOp):
    """Product of a matrix and a vector."""

    kernels = (products.matrix_vector_product, products.batched_matrix_vector_product)

    def core_shapes(self, matrix, vector):
        """(n, k) and (k,) give (n,)."""
        return [matrix[:1]]


class LeanCholesky(LeanOp):
    """Cholesky factor, NaN where there is none."""

    __props__ = ("lower",)
    kernels = (factors.cholesky, factors.batched_cholesky)


class LeanSolveTriangular(LeanOp):
    """Solution of a triangular system, NaN where it is singular."""

    __props__ = ("lower", "unit_diagonal")
    kernels = (factors.solve_triangular, factors.batched_solve_triangular)


class LeanCholeskySolve(LeanOp):
    """Solution of a system whose Cholesky factor is known."""

    __props__ = ("lower",)
    kernels = (factors.cholesky_solve, factors.batched_cholesky_solve)


class LeanSolve(LeanOp):
    """Solution of a system, NaN where it is singular."""

    __props__ = ("symmetric", "lower")
    kernels = (lu.solve, lu.batched_solve)


class LeanInverse(LeanOp):
    """Inverse of a matrix, NaN where there is none."""

    kernels = (lu.inverse, lu.batched_inverse)


class LeanLogDeterminant(LeanOp):
    """Sign and logarithm of a determinant."""

    kernels = (lu.log_determinant, lu.batched_log_determinant)

    def core_shapes(self, matrix):
        """Two scalars."""
        return [(), ()]


class LeanDiagonal(LeanOp):
    """Diagonal matrix of a vector, without batches."""

    def kernel(self, node):
        """The one compiled function."""
        return diagonals.diagonal_matrix

    def make_node(self, values):
        """(n,) gives (n, n)."""
        return Apply(self, [values], [tensor(dtype="float64", shape=values.type.shape * 2)])


@register_funcify_default_op_cache_key(LeanOp)
def _funcify(op, node, **_):
    kernel, props = op.kernel(node), op.props
    if not props:
        return kernel, _VERSION

    @numba_njit(error_model="numpy")
    def lean_op(*operands):
        return kernel(*(operands + props))

    return lean_op, _VERSION
