"""Systems, inverses and determinants of general matrices by LU; what has no solution is filled with NaN.

The matrix is copied in C order, which Fortran reads as its transpose: a determinant is the same, an inverse
in C order comes out as it should, and a system is solved with the transpose of what Fortran sees.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import ONE, WORD, Emitter, View, load, store
from nutmill.model.lowering.inline.elements.scalar_rules import call_intrinsic
from nutmill.model.lowering.inline.linear_algebra.matrices import (
    COLUMNS_AT_ONCE,
    DOUBLE,
    INT32,
    INTEGERS,
    MATRIX,
    VECTOR,
    at_least_one,
    call_routine,
    copy_into,
    has_failed,
    nan_where,
    scratch,
    transposed,
)
from nutmill.model.lowering.inline.loops import nest


@contextmanager
def _factorised(emitter: Emitter, a: View) -> Iterator[tuple[View, ir.Value]]:
    """LU in place; gives the pivots and whether there was a zero among them."""
    n = a.shape[0]
    with scratch(emitter, INTEGERS, [n]) as pivots:
        status = call_routine(emitter, "dgetrf", n, n, a.data, at_least_one(emitter, n), pivots.data)
        yield pivots, has_failed(emitter, status)


def _mirror(emitter: Emitter, a: View, lower: bool) -> None:
    """Complete a symmetric matrix of which one triangle is given."""
    with nest(emitter, a.shape[:1]) as (i,), nest(emitter, [i]) as (j,):
        given, other = ([i, j], [j, i]) if lower else ([j, i], [i, j])
        store(emitter, a, other, load(emitter, a, given))


def solve(emitter: Emitter, operands: Sequence[View], results: Sequence[View], symmetric: bool, lower: bool) -> None:
    """Write the solution of ``A @ x == b``, A symmetric and given by one triangle or not; all NaN if it is singular."""
    (matrix, b), (x,) = operands, results
    with scratch(emitter, MATRIX, matrix.shape) as a:
        copy_into(emitter, matrix, a)
        if symmetric:
            _mirror(emitter, a, lower)
        with _factorised(emitter, a) as (pivots, is_singular), nan_where(emitter, is_singular, x):
            _solve_factorised(emitter, (a, pivots), b, x)


def _solve_factorised(emitter: Emitter, factors: tuple[View, View], b: View, x: View) -> None:
    a, pivots = factors
    n = a.shape[0]
    width = at_least_one(emitter, n)
    if len(x.shape) == 1:
        copy_into(emitter, b, x)
        call_routine(emitter, "dgetrs", "T", n, ONE, a.data, width, pivots.data, x.data, width)
        return
    with scratch(emitter, MATRIX, b.shape[::-1]) as columns:
        copy_into(emitter, transposed(b), columns)
        call_routine(emitter, "dgetrs", "T", n, b.shape[1], a.data, width, pivots.data, columns.data, width)
        copy_into(emitter, transposed(columns), x)


def inverse(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write the inverse of a matrix; all NaN if it is singular."""
    builder, (matrix,), (out,) = emitter.builder, operands, results
    n = out.shape[0]
    copy_into(emitter, matrix, out)
    n_work = builder.mul(at_least_one(emitter, n), WORD(COLUMNS_AT_ONCE))
    with (
        _factorised(emitter, out) as (pivots, is_singular),
        scratch(emitter, VECTOR, [n_work]) as work,
        nan_where(emitter, is_singular, out),
    ):
        given = n, out.data, at_least_one(emitter, n), pivots.data
        call_routine(emitter, "dgetri", *given, work.data, n_work)


def log_determinant(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write sign and logarithm of the absolute value of the determinant: (0, -inf) of a singular matrix."""
    builder, (matrix,) = emitter.builder, operands
    sign, logarithm = (cgutils.alloca_once(builder, DOUBLE) for _ in range(2))
    builder.store(DOUBLE(1.0), sign)
    builder.store(DOUBLE(0.0), logarithm)
    with scratch(emitter, MATRIX, matrix.shape) as a:
        copy_into(emitter, matrix, a)
        with _factorised(emitter, a) as (pivots, _), nest(emitter, a.shape[:1]) as (i,):
            value = load(emitter, a, [i, i])
            row = builder.add(builder.trunc(i, INT32), INT32(1))
            is_moved = builder.icmp_signed("!=", load(emitter, pivots, [i]), row)
            turns = builder.xor(is_moved, builder.fcmp_ordered("<", value, DOUBLE(0.0)))
            factor = builder.select(turns, DOUBLE(-1.0), DOUBLE(1.0))
            factor = builder.select(builder.fcmp_ordered("==", value, DOUBLE(0.0)), DOUBLE(0.0), factor)
            builder.store(builder.fmul(builder.load(sign), factor), sign)
            size = call_intrinsic(emitter, "log", call_intrinsic(emitter, "fabs", value))
            builder.store(builder.fadd(builder.load(logarithm), size), logarithm)
    for result, register in zip(results, (sign, logarithm), strict=True):
        store(emitter, result, [], builder.load(register))
