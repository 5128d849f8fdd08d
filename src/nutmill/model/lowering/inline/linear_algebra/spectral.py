"""Eigenvalues of symmetric matrices, QR factors, and products of a matrix with its own transpose.

LAPACK reads C order as the transpose: a triangle changes its name, and what LAPACK writes into columns stands in rows.
"""

from collections.abc import Sequence

from llvmlite import ir

from nutmill.model.lowering.inline.arrays import ONE, WORD, Emitter, View, load, store
from nutmill.model.lowering.inline.linear_algebra.matrices import (
    COLUMNS_AT_ONCE,
    DOUBLE,
    INTEGERS,
    MATRIX,
    VECTOR,
    at_least_one,
    call_routine,
    copy_into,
    has_failed,
    letter,
    nan_where,
    readable,
    scratch,
    transposed,
)
from nutmill.model.lowering.inline.loops import nest


def eigh(emitter: Emitter, operands: Sequence[View], results: Sequence[View], lower: bool) -> None:
    """Write eigenvalues, in rising order, and eigenvectors, in columns, of a symmetric matrix given by one triangle.

    All NaN where LAPACK does not converge, or the matrix is not finite.
    """
    builder, (matrix,), (values, vectors) = emitter.builder, operands, results
    n = matrix.shape[0]
    width = at_least_one(emitter, n)
    square = builder.mul(n, n)
    n_work = builder.add(builder.add(ONE, builder.mul(WORD(6), width)), builder.mul(WORD(2), square))
    n_integers = builder.add(WORD(3), builder.mul(WORD(5), width))
    with (
        scratch(emitter, MATRIX, matrix.shape) as a,
        scratch(emitter, VECTOR, [n_work]) as work,
        scratch(emitter, INTEGERS, [n_integers]) as integers,
    ):
        copy_into(emitter, matrix, a)
        given = "V", "U" if lower else "L", n, a.data, width
        status = call_routine(emitter, "dsyevd", *given, values.data, work.data, n_work, integers.data, n_integers)
        with nan_where(emitter, has_failed(emitter, status), values, vectors):
            copy_into(emitter, transposed(a), vectors)


def qr(emitter: Emitter, operands: Sequence[View], results: Sequence[View], with_q: bool) -> None:
    """Write the reduced Q, if wanted, and R of a matrix."""
    builder, (matrix,) = emitter.builder, operands
    rows, columns = matrix.shape
    rank = results[-1].shape[0]
    n_work = builder.mul(at_least_one(emitter, columns), WORD(COLUMNS_AT_ONCE))
    height = at_least_one(emitter, rows)
    with (
        scratch(emitter, MATRIX, matrix.shape[::-1]) as a,
        scratch(emitter, VECTOR, [at_least_one(emitter, rank)]) as scales,
        scratch(emitter, VECTOR, [n_work]) as work,
    ):
        copy_into(emitter, transposed(matrix), a)
        call_routine(emitter, "dgeqrf", rows, columns, a.data, height, scales.data, work.data, n_work)
        _upper_triangle_into(emitter, transposed(a), results[-1])
        if with_q:
            given = rows, rank, rank, a.data, height, scales.data
            call_routine(emitter, "dorgqr", *given, work.data, n_work)
            part = transposed(a)
            copy_into(emitter, View(part.kind, part.data, results[0].shape, part.strides), results[0])


def _upper_triangle_into(emitter: Emitter, source: View, target: View) -> None:
    with nest(emitter, target.shape) as (i, j):
        is_kept = emitter.builder.icmp_signed("<=", i, j)
        value = emitter.builder.select(is_kept, load(emitter, source, [i, j]), DOUBLE(0.0))
        store(emitter, target, [i, j], value)


def gram(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write ``out = x @ x.T``: one triangle by BLAS, the other from it."""
    (x,), (out,) = operands, results
    n, k = x.shape
    with readable(emitter, x) as a:
        # Fortran's lower triangle is the upper one in C order.
        form = letter(emitter, a.by_rows, "T", "N")
        given = "L", form, n, k, 1.0, a.data, a.stride, 0.0
        call_routine(emitter, "dsyrk", *given, out.data, at_least_one(emitter, n))
    with nest(emitter, [n]) as (i,), nest(emitter, [i]) as (j,):
        store(emitter, out, [i, j], load(emitter, out, [j, i]))


def check_nothing(emitter: Emitter, view: View) -> ir.Value | None:
    """Matrices of all shapes are fine."""
