"""Products of strided matrices and vectors, each by the routine or the loop that fits it."""

import math
from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import WORD, ZERO, Emitter, View, itemsize, load, store
from nutmill.model.lowering.inline.linear_algebra.matrices import (
    LOOSE,
    at_least_one,
    call_routine,
    letter,
    readable,
    row_stride,
    transposed,
)
from nutmill.model.lowering.inline.loops import nest

# Up to so many multiplications a loop costs less than the call of a routine (OpenBLAS 0.3, Zen 4).
_FEW_FOR_MATRIX, _FEW_FOR_VECTOR = 16, 128
# And if the lengths are constants of the code, short ones, so that LLVM unrolls the loops: half of a routine's time
# or less even for matrices of 16 x 16.
_FEW_IF_KNOWN = 16**3


def check_product(emitter: Emitter, x: View, y: View) -> None:
    """Leave with ValueError if the inner lengths differ."""
    differs = emitter.builder.icmp_unsigned("!=", x.shape[1], y.shape[0])
    message = "matrix product: the columns of the first and the rows of the second operand differ"
    emitter.fail_if(differs, ValueError, message)


def matrix_product(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write ``out = x @ y``; Fortran reads `out`, in C order, as its transpose, so it computes ``y.T @ x.T``."""
    builder, (x, y), (out,) = emitter.builder, operands, results
    (n, k), m = x.shape, y.shape[1]
    if _is_known(n, k, m, most=_FEW_IF_KNOWN):
        _multiply(emitter, x, y, out)
        return
    is_small = builder.icmp_signed("<=", builder.mul(builder.mul(n, k), m), WORD(_FEW_FOR_MATRIX))
    with builder.if_else(is_small, likely=False) as (small, large):
        with small:
            _multiply(emitter, x, y, out)
        with large, readable(emitter, x) as a, readable(emitter, y) as b:
            forms = letter(emitter, b.by_rows, "N", "T"), letter(emitter, a.by_rows, "N", "T")
            width = at_least_one(emitter, m)
            factors = b.data, b.stride, a.data, a.stride
            call_routine(emitter, _of(out, "gemm"), *forms, m, n, k, 1.0, *factors, 0.0, out.data, width)


def _multiply(emitter: Emitter, x: View, y: View, out: View) -> None:
    """Write ``out = x @ y`` as loops."""
    with nest(emitter, out.shape) as (i, j):
        total = _sum(emitter, x.shape[1], x.kind, lambda at: (load(emitter, x, [i, at]), load(emitter, y, [at, j])))
        store(emitter, out, [i, j], total)


def _is_known(*lengths: ir.Value, most: int) -> bool:
    """Whether lengths are constants of the code, and their product is at most so much."""
    constants = [length.constant for length in lengths if isinstance(length, ir.Constant)]
    return len(constants) == len(lengths) and math.prod(constants) <= most


def matrix_vector_product(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write ``out = matrix @ vector``; what BLAS cannot read in place is read once by a loop, as a copy would."""
    builder, (matrix, vector), (out,) = emitter.builder, operands, results
    rows, columns = matrix.shape
    if _is_known(rows, columns, most=_FEW_IF_KNOWN):
        _multiply_vector(emitter, matrix, vector, out)
        return
    along_rows, along_columns = row_stride(emitter, matrix), row_stride(emitter, transposed(matrix))
    step = _step(emitter, vector)
    is_small = builder.icmp_signed("<=", builder.mul(rows, columns), WORD(_FEW_FOR_VECTOR))
    by_hand = builder.or_(is_small, builder.icmp_signed("==", step, ZERO))
    by_hand = builder.or_(by_hand, builder.icmp_signed("==", builder.or_(along_rows, along_columns), ZERO))
    with builder.if_else(by_hand) as (small, large):
        with small:
            _multiply_vector(emitter, matrix, vector, out)
        with large:
            by_rows = builder.icmp_signed(">", along_rows, ZERO)
            n, m = builder.select(by_rows, columns, rows), builder.select(by_rows, rows, columns)
            stride = builder.select(by_rows, along_rows, along_columns)
            form = letter(emitter, by_rows, "T", "N")
            given = matrix.data, stride, vector.data, step
            call_routine(emitter, _of(out, "gemv"), form, n, m, 1.0, *given, 0.0, out.data, WORD(1))


def _multiply_vector(emitter: Emitter, matrix: View, vector: View, out: View) -> None:
    """Write ``out = matrix @ vector`` as loops."""
    with nest(emitter, out.shape) as (i,):
        pair = lambda at: (load(emitter, matrix, [i, at]), load(emitter, vector, [at]))  # noqa: E731
        store(emitter, out, [i], _sum(emitter, matrix.shape[1], matrix.kind, pair))


def _of(result: View, name: str) -> str:
    """Name of a routine for the dtype of what it gives."""
    return ("s" if result.kind.dtype == types.float32 else "d") + name


def _step(emitter: Emitter, vector: View) -> ir.Value:
    """Stride of a vector in values, as BLAS takes it; 0 if it is not a positive number of values."""
    builder, (stride,) = emitter.builder, vector.strides
    item = WORD(itemsize(emitter, vector.kind))
    step = builder.sdiv(stride, item)
    fits = builder.icmp_signed("==", builder.mul(step, item), stride)
    fits = builder.and_(fits, builder.icmp_signed(">", stride, ZERO))
    step = builder.select(fits, step, ZERO)
    return builder.select(builder.icmp_signed("<=", vector.shape[0], WORD(1)), WORD(1), step)


def _sum(emitter: Emitter, length: ir.Value, kind: types.Array, pair: Callable) -> ir.Value:
    """Sum of the products of pairs of numbers."""
    builder = emitter.builder
    zero = emitter.context.get_constant(kind.dtype, 0.0)
    register = cgutils.alloca_once_value(builder, zero)
    with nest(emitter, [length]) as (at,):
        product = builder.fmul(*pair(at), flags=LOOSE)
        builder.store(builder.fadd(builder.load(register), product, flags=LOOSE), register)
    return builder.load(register)
