"""Systems of three diagonals, whose cost is that of their length; what has no solution is filled with NaN."""

from collections.abc import Sequence

from llvmlite import ir

from nutmill.model.lowering.inline.arrays import ONE, Emitter, View, load, store
from nutmill.model.lowering.inline.linear_algebra.matrices import (
    MATRIX,
    VECTOR,
    at_least_one,
    call_routine,
    copy_into,
    nan_if_failed,
    scratch,
    transposed,
)
from nutmill.model.lowering.inline.loops import nest


def solve_tridiagonal(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write the solution of ``A @ x == b`` by elimination with exchanges of rows; all NaN if A is singular."""
    builder, (matrix, b), (x,) = emitter.builder, operands, results
    n = matrix.shape[0]
    length = at_least_one(emitter, n)
    with (
        scratch(emitter, VECTOR, [length]) as below,
        scratch(emitter, VECTOR, [length]) as diagonal,
        scratch(emitter, VECTOR, [length]) as above,
    ):
        with nest(emitter, [n]) as (i,):
            store(emitter, diagonal, [i], load(emitter, matrix, [i, i]))
        with nest(emitter, [builder.sub(length, ONE)]) as (i,):
            after = builder.add(i, ONE)
            store(emitter, below, [i], load(emitter, matrix, [after, i]))
            store(emitter, above, [i], load(emitter, matrix, [i, after]))
        given = below.data, diagonal.data, above.data
        if len(x.shape) == 1:
            copy_into(emitter, b, x)
            status = call_routine(emitter, "dgtsv", n, ONE, *given, x.data, length)
        else:
            status = _solve_columns(emitter, given, b, x)
    nan_if_failed(emitter, status, x)


def _solve_columns(emitter: Emitter, diagonals: Sequence[ir.Value], b: View, x: View) -> ir.Value:
    n, n_columns = x.shape
    with scratch(emitter, MATRIX, [n_columns, n]) as columns:
        copy_into(emitter, transposed(b), columns)
        length = at_least_one(emitter, n)
        status = call_routine(emitter, "dgtsv", n, n_columns, *diagonals, columns.data, length)
        copy_into(emitter, transposed(columns), x)
    return status
