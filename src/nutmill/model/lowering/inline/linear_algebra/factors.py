"""Cholesky factors and triangular systems of strided matrices; what cannot be solved is filled with NaN."""

from collections.abc import Sequence

from llvmlite import ir
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import Emitter, View, load, store
from nutmill.model.lowering.inline.linear_algebra.matrices import (
    BIT,
    DOUBLE,
    Matrix,
    at_least_one,
    call_routine,
    copy_into,
    letter,
    nan_if_failed,
    nan_where,
    readable,
)
from nutmill.model.lowering.inline.linear_algebra.triangles import FactorForm, solve_vector
from nutmill.model.lowering.inline.loops import nest


def cholesky(emitter: Emitter, operands: Sequence[View], results: Sequence[View], lower: bool) -> None:
    """Write the Cholesky factor of a matrix of which one triangle is read; all NaN if it is not positive definite.

    The factor L has ``L @ L.T == matrix`` if `lower`, else U has ``U.T @ U``. Fortran reads `out`, in C order, as its
    transpose: there, our lower triangle is the upper one.
    """
    builder, (matrix,), (out,) = emitter.builder, operands, results
    n = out.shape[0]
    with nest(emitter, out.shape) as (i, j):
        is_kept = builder.icmp_signed("<=" if lower else ">=", j, i)
        with builder.if_else(is_kept) as (kept, other):
            with kept:
                store(emitter, out, [i, j], load(emitter, matrix, [i, j]))
            with other:
                store(emitter, out, [i, j], DOUBLE(0.0))
    status = call_routine(emitter, "dpotrf", "U" if lower else "L", n, out.data, at_least_one(emitter, n))
    nan_if_failed(emitter, status, out)


def solve_triangular(
    emitter: Emitter, operands: Sequence[View], results: Sequence[View], lower: bool, unit: bool
) -> None:
    """Write the solution of ``T @ x == b``, T one triangle of the matrix; all NaN if T is singular."""
    (matrix, b), (x,) = operands, results
    copy_into(emitter, b, x)
    with nan_where(emitter, _is_singular(emitter, matrix, unit), x), readable(emitter, matrix) as a:
        _solve_in_place(emitter, a, x, FactorForm(lower, False, unit))


def cholesky_solve(emitter: Emitter, operands: Sequence[View], results: Sequence[View], lower: bool) -> None:
    """Write the solution of ``A @ x == b`` from the Cholesky factor of A."""
    (factor, b), (x,) = operands, results
    copy_into(emitter, b, x)
    with readable(emitter, factor) as a:
        _solve_in_place(emitter, a, x, FactorForm(lower, not lower, False))
        _solve_in_place(emitter, a, x, FactorForm(lower, lower, False))


def _is_singular(emitter: Emitter, matrix: View, unit: bool) -> ir.Value:
    if unit:
        return BIT(0)
    builder = emitter.builder
    found = cgutils.alloca_once(builder, BIT)
    builder.store(BIT(0), found)
    with nest(emitter, matrix.shape[:1]) as (i,):
        is_zero = builder.fcmp_ordered("==", load(emitter, matrix, [i, i]), DOUBLE(0.0))
        builder.store(builder.or_(builder.load(found), is_zero), found)
    return builder.load(found)


def _solve_in_place(emitter: Emitter, a: Matrix, x: View, form: FactorForm) -> None:
    """Solve for contiguous `x`: a vector by loops; a matrix by BLAS, which sees it transposed, from the right."""
    if len(x.shape) == 1:
        solve_vector(emitter, a, x, form)
        return
    lower, is_transposed, unit = form
    triangle = letter(emitter, a.by_rows, *("UL" if lower else "LU"))
    diagonal = "U" if unit else "N"
    way = letter(emitter, a.by_rows, *("TN" if is_transposed else "NT"))
    n, columns = x.shape
    width = at_least_one(emitter, columns)
    call_routine(emitter, "dtrsm", "R", triangle, way, diagonal, columns, n, 1.0, a.data, a.stride, x.data, width)
