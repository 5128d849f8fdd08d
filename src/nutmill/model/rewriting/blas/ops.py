"""PyTensor ops whose Numba form calls BLAS and LAPACK through slots; made by the rewriter, never by users."""

from collections.abc import Callable, Sequence

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_funcify, numba_njit
from pytensor.tensor.type import tensor


class LeanOp(Op):
    """Linear algebra on float64, or products of float32; `inline/linear_algebra/batched.py` writes it.

    No gradient is taken of it any more. The first operand is a matrix, or a stack of them along batch axes; then the
    others are stacks, too, and axes of length 1 broadcast.
    """

    __props__: tuple[str, ...] = ()

    def __init__(self, *props: bool):
        for name, value in zip(self.__props__, props, strict=True):
            setattr(self, name, value)

    @property
    def props(self) -> tuple[bool, ...]:
        """The flags by which the operation is written."""
        return tuple(getattr(self, name) for name in self.__props__)

    def batch_axes(self, operands: Sequence[Variable]) -> int:
        """Number of batch axes of all operands."""
        return operands[0].type.ndim - 2

    def core_shapes(self, *shapes: Sequence, least: Callable) -> Sequence[Sequence]:
        """Shapes of the results without batch; unless overridden, one, that of the last operand.

        `least` gives the lesser of two lengths, static ones or values of a program.
        """
        return shapes[-1:]

    def make_node(self, *operands):
        """Apply the op to operands of one dtype, all of them with the same number of batch axes."""
        n_batch = self.batch_axes(operands)
        shapes = [operand.type.shape for operand in operands]
        batch = [_common(lengths) for lengths in zip(*(shape[:n_batch] for shape in shapes), strict=True)]
        cores = self.core_shapes(*(shape[n_batch:] for shape in shapes), least=_least)
        dtype = operands[0].type.dtype
        return Apply(self, list(operands), [tensor(dtype=dtype, shape=(*batch, *core)) for core in cores])

    def perform(self, node, inputs, output_storage):
        """Compile and run the operation, for callers outside Numba."""
        function = numba_funcify(self, node=node)
        results = numba_njit(lambda *operands: function(*operands))(*inputs)
        for storage, result in zip(output_storage, results if len(node.outputs) > 1 else [results], strict=True):
            storage[0] = result


def _least(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else min(one, other)


def _common(lengths: Sequence[int | None]) -> int | None:
    """Static length of an axis along which lengths of 1 broadcast."""
    longest = [length for length in lengths if length != 1]
    return next((length for length in longest if length is not None), None) if longest else 1


class LeanDot(LeanOp):
    """Product of two matrices."""

    def core_shapes(self, *shapes, least):
        """(n, k) and (k, m) give (n, m)."""
        left, right = shapes
        return [(left[0], right[1])]


class LeanMatrixVector(LeanOp):
    """Product of a matrix and a vector."""

    def core_shapes(self, *shapes, least):
        """(n, k) and (k,) give (n,)."""
        matrix, _ = shapes
        return [matrix[:1]]


class TileProduct(LeanOp):
    """Product of some rows of a matrix and a vector."""

    def core_shapes(self, *shapes, least):
        """(n, k) and (k,) give (n,)."""
        matrix, _ = shapes
        return [matrix[:1]]


class TileSums(LeanOp):
    """Sums of some rows of a matrix, each row times its own number."""

    def core_shapes(self, *shapes, least):
        """(n, k) and (n,) give (k,)."""
        matrix, _ = shapes
        return [matrix[1:]]


class LeanCholesky(LeanOp):
    """Cholesky factor, NaN where there is none."""

    __props__ = ("lower",)


class LeanSolveTriangular(LeanOp):
    """Solution of a triangular system, NaN where it is singular."""

    __props__ = ("lower", "unit_diagonal")


class LeanCholeskySolve(LeanOp):
    """Solution of a system whose Cholesky factor is known."""

    __props__ = ("lower",)


class LeanSolve(LeanOp):
    """Solution of a system, NaN where it is singular."""

    __props__ = ("symmetric", "lower")


class LeanCovarianceGradient(LeanOp):
    """Gradient of what `NormalTerms` gives with respect to the covariance, of which the lower triangle counts.

    Operands: its factor, weights (m, n) and the same times gradients of the distances, gradient of the half logarithm.
    """

    def core_shapes(self, *shapes, least):
        """(n, n), (m, n), (m, n) and () give (n, n)."""
        return shapes[:1]


class LeanTridiagonalSolve(LeanOp):
    """Solution of a system of which three diagonals are read, NaN where it is singular."""


class LeanInverse(LeanOp):
    """Inverse of a matrix, NaN where there is none."""


class LeanLogDeterminant(LeanOp):
    """Sign and logarithm of a determinant."""

    def core_shapes(self, *shapes, least):
        """Two scalars."""
        return [(), ()]


class LeanExponential(LeanOp):
    """Exponential of a matrix, NaN where the matrix is not finite."""


class LeanGram(LeanOp):
    """Product of a matrix and its transpose."""

    def core_shapes(self, *shapes, least):
        """(n, k) gives (n, n)."""
        (matrix,) = shapes
        return [(matrix[0], matrix[0])]


class LeanEigh(LeanOp):
    """Eigenvalues and eigenvectors of a symmetric matrix, of which one triangle is read."""

    __props__ = ("lower",)

    def core_shapes(self, *shapes, least):
        """(n, n) gives (n,) and (n, n)."""
        (matrix,) = shapes
        return [matrix[:1], matrix]


class LeanQR(LeanOp):
    """Factors Q, if wanted, and R of a matrix, with as many columns and rows as the lesser of its lengths."""

    __props__ = ("with_q",)

    def core_shapes(self, *shapes, least):
        """(m, n) gives (m, k) and (k, n)."""
        ((rows, columns),) = shapes
        rank = least(rows, columns)
        return [(rows, rank), (rank, columns)] if self.with_q else [(rank, columns)]
