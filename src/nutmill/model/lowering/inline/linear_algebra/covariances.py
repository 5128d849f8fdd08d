"""The gradient of a normal density with respect to its covariance, by the inverse that LAPACK makes of the factor."""

from collections.abc import Sequence

from llvmlite import ir
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import ONE, ZERO, Emitter, View, load
from nutmill.model.lowering.inline.linear_algebra.matrices import (
    DOUBLE,
    LOOSE,
    at_least_one,
    call_routine,
    check_square,
    letter,
    nan_if_failed,
    readable,
)
from nutmill.model.lowering.inline.loops import Memory, nest


def check_gradient(emitter: Emitter, factor: View, weights: View, weighted: View, of_half: View) -> None:
    """Leave with ValueError if the lengths differ."""
    check_square(emitter, factor)
    builder = emitter.builder
    pairs = (
        (weights.shape[1], factor.shape[0]),
        (weighted.shape[1], factor.shape[0]),
        (weights.shape[0], weighted.shape[0]),
    )
    for one, other in pairs:
        differs = builder.icmp_unsigned("!=", one, other)
        emitter.fail_if(differs, ValueError, "normal density: the covariance and the differences have other lengths")


def covariance_gradient(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write the gradient into the lower triangle, where an entry beside the diagonal counts twice; zeros above it.

    With the factor's K, it is ``half * K^-1 - weighted.T @ weights``, both of them symmetric.
    """
    (factor, weights, weighted, of_half), (out,) = operands, results
    builder, n = emitter.builder, out.shape[0]
    with nest(emitter, [n]) as (i,), nest(emitter, [builder.add(i, ONE)]) as (j,):
        memory = Memory(emitter)
        memory.store_new(out, [i, j], memory.load_given(factor, [i, j]))
    # Fortran sees the transpose of what lies in C order.
    status = call_routine(emitter, "dpotri", "U", n, out.data, at_least_one(emitter, n))
    nan_if_failed(emitter, status, out)
    share = builder.fmul(load(emitter, of_half, []), DOUBLE(0.5))
    if isinstance(weights.shape[0], ir.Constant) and weights.shape[0].constant == 1:
        _finish(emitter, out, share, (weighted, weights))
        return
    _scale(emitter, out, share)
    _subtract_product(emitter, weighted, weights, out)
    _finish(emitter, out, DOUBLE(1.0), None)


def _scale(emitter: Emitter, out: View, share: ir.Value) -> None:
    """Multiply the lower triangle by a number, and clear the upper one."""
    builder = emitter.builder
    with nest(emitter, out.shape) as (i, j):
        memory = Memory(emitter)
        scaled = builder.fmul(memory.load_new(out, [i, j]), share)
        is_lower = builder.icmp_signed("<=", j, i)
        memory.store_new(out, [i, j], builder.select(is_lower, scaled, DOUBLE(0.0)))


def _subtract_product(emitter: Emitter, left: View, right: View, out: View) -> None:
    """Subtract ``left.T @ right`` of two matrices of as many rows."""
    n = out.shape[0]
    with readable(emitter, left) as a, readable(emitter, right) as b:
        forms = letter(emitter, b.by_rows, "N", "T"), letter(emitter, a.by_rows, "T", "N")
        factors = b.data, b.stride, a.data, a.stride
        width = at_least_one(emitter, n)
        call_routine(emitter, "dgemm", *forms, n, n, left.shape[0], -1.0, *factors, 1.0, out.data, width)


def _finish(emitter: Emitter, out: View, share: ir.Value, vectors: tuple[View, View] | None) -> None:
    """Multiply the lower triangle, subtract the product of two vectors, and count what is beside the diagonal twice."""
    builder, n = emitter.builder, out.shape[0]
    with nest(emitter, [n]) as (i,):
        own = None if vectors is None else load(emitter, vectors[0], [ZERO, i])

        def finished(j: ir.Value, memory: Memory) -> ir.Value:
            value = builder.fmul(memory.load_new(out, [i, j]), share)
            if vectors is None:
                return value
            product = builder.fmul(own, memory.load_given(vectors[1], [ZERO, j]))
            return builder.fsub(value, product, flags=LOOSE)

        memory = Memory(emitter)
        with nest(emitter, [i]) as (j,):
            memory.store_new(out, [i, j], builder.fmul(finished(j, memory), DOUBLE(2.0)))
        memory.store_new(out, [i, i], finished(i, memory))
        with cgutils.for_range(builder, n, start=builder.add(i, ONE)) as above:
            memory.store_new(out, [i, above.index], DOUBLE(0.0))
