"""The exponential of a matrix: of a small multiple, by a quotient of polynomials, and squared as often as needed.

Higham, SIAM J. Matrix Anal. 26 (2005), with the polynomials of degree 13 whatever the norm.
"""

import math
from collections.abc import Sequence

from llvmlite import ir
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import WORD, Emitter, View, load, store
from nutmill.model.lowering.inline.elements.scalar_rules import call_intrinsic
from nutmill.model.lowering.inline.linear_algebra.lu import solve
from nutmill.model.lowering.inline.linear_algebra.matrices import DOUBLE, MATRIX, copy_into, fill_with, scratch
from nutmill.model.lowering.inline.linear_algebra.products import matrix_product
from nutmill.model.lowering.inline.loops import nest

_DEGREE = 13
# Up to this norm the quotient is right to rounding.
_NORM = 5.371920351148152
# A norm of 2^1024 is infinite.
_MOST_SQUARINGS = 1024
_POWERS = [
    math.factorial(2 * _DEGREE - j) // (math.factorial(j) * math.factorial(_DEGREE - j)) * math.factorial(_DEGREE)
    for j in range(_DEGREE + 1)
]
# Of x**j in the numerator; of (-x)**j in the denominator.
_TERMS = [power / _POWERS[0] for power in _POWERS]


def exponential(emitter: Emitter, operands: Sequence[View], results: Sequence[View]) -> None:
    """Write ``out = expm(matrix)``; all NaN if the matrix is not finite."""
    builder, (matrix,), (out,) = emitter.builder, operands, results
    norm = _norm(emitter, matrix)
    is_finite = builder.fcmp_ordered("<", norm, DOUBLE(math.inf))
    with builder.if_else(is_finite, likely=True) as (finite, other):
        with finite:
            _squared(emitter, matrix, _squarings(emitter, norm), out)
        with other:
            fill_with(emitter, out, math.nan)


def _norm(emitter: Emitter, matrix: View) -> ir.Value:
    """The largest sum of sizes in a row."""
    builder = emitter.builder
    largest, total = (cgutils.alloca_once_value(builder, DOUBLE(0.0)) for _ in range(2))
    with nest(emitter, matrix.shape[:1]) as (i,):
        builder.store(DOUBLE(0.0), total)
        with nest(emitter, matrix.shape[1:]) as (j,):
            size = call_intrinsic(emitter, "fabs", load(emitter, matrix, [i, j]))
            builder.store(builder.fadd(builder.load(total), size), total)
        # Not less or equal: NaN stays.
        is_larger = builder.fcmp_unordered(">", builder.load(total), builder.load(largest))
        is_larger = builder.and_(is_larger, builder.fcmp_ordered("==", builder.load(largest), builder.load(largest)))
        builder.store(builder.select(is_larger, builder.load(total), builder.load(largest)), largest)
    return builder.load(largest)


def _squarings(emitter: Emitter, norm: ir.Value) -> ir.Value:
    """How often the matrix has to be halved."""
    builder = emitter.builder
    count = cgutils.alloca_once_value(builder, WORD(0))
    left = cgutils.alloca_once_value(builder, norm)
    with nest(emitter, [WORD(_MOST_SQUARINGS)]) as _:
        is_large = builder.fcmp_ordered(">", builder.load(left), DOUBLE(_NORM))
        builder.store(builder.add(builder.load(count), builder.zext(is_large, WORD)), count)
        builder.store(builder.select(is_large, builder.fmul(builder.load(left), DOUBLE(0.5)), builder.load(left)), left)
    return builder.load(count)


def _squared(emitter: Emitter, matrix: View, n_squarings: ir.Value, out: View) -> None:
    builder, shape = emitter.builder, matrix.shape
    power = call_intrinsic(emitter, "exp2", builder.fneg(builder.sitofp(n_squarings, DOUBLE)))
    with scratch(emitter, MATRIX, shape) as a, scratch(emitter, MATRIX, shape) as square:
        with nest(emitter, shape) as place:
            store(emitter, a, place, builder.fmul(load(emitter, matrix, place), power))
        _quotient(emitter, a, square, out)
        with nest(emitter, [n_squarings]) as _:
            matrix_product(emitter, [out, out], [square])
            copy_into(emitter, square, out)


def _quotient(emitter: Emitter, a: View, spare: View, out: View) -> None:
    """Write ``out`` as the solution of ``(even - odd) @ out == even + odd``, the parts of one polynomial in `a`."""
    shape = a.shape
    with (
        scratch(emitter, MATRIX, shape) as second,
        scratch(emitter, MATRIX, shape) as fourth,
        scratch(emitter, MATRIX, shape) as sixth,
        scratch(emitter, MATRIX, shape) as odd,
        scratch(emitter, MATRIX, shape) as even,
    ):
        matrix_product(emitter, [a, a], [second])
        matrix_product(emitter, [second, second], [fourth])
        matrix_product(emitter, [second, fourth], [sixth])
        powers = second, fourth, sixth
        _polynomial(emitter, powers, _TERMS[1::2], (spare, even), odd)
        matrix_product(emitter, [a, odd], [spare])
        copy_into(emitter, spare, odd)
        _polynomial(emitter, powers, _TERMS[0:13:2], (spare, out), even)
        _split(emitter, even, odd)
        solve(emitter, [odd, even], [out], symmetric=False, lower=True)


def _polynomial(
    emitter: Emitter, powers: Sequence[View], terms: Sequence[float], spares: tuple[View, View], out: View
) -> None:
    """Write the polynomial of degree 6 in the first power, from the second, third and first power of it."""
    upper, product = spares
    sixth = powers[2]
    _combination(emitter, powers, [0.0, *terms[4:]], upper)
    matrix_product(emitter, [sixth, upper], [product])
    _combination(emitter, powers, terms[:4], out)
    with nest(emitter, out.shape) as place:
        total = emitter.builder.fadd(load(emitter, out, place), load(emitter, product, place))
        store(emitter, out, place, total)


def _combination(emitter: Emitter, powers: Sequence[View], terms: Sequence[float], out: View) -> None:
    """Write a multiple of the unit matrix plus multiples of the powers."""
    builder = emitter.builder
    with nest(emitter, out.shape) as (i, j):
        total = builder.select(builder.icmp_signed("==", i, j), DOUBLE(terms[0]), DOUBLE(0.0))
        for power, term in zip(powers, terms[1:], strict=False):
            total = builder.fadd(total, builder.fmul(load(emitter, power, [i, j]), DOUBLE(term)))
        store(emitter, out, [i, j], total)


def _split(emitter: Emitter, even: View, odd: View) -> None:
    """Write the sum of two matrices into the first and the difference into the second."""
    builder = emitter.builder
    with nest(emitter, even.shape) as place:
        one, other = load(emitter, even, place), load(emitter, odd, place)
        store(emitter, even, place, builder.fadd(one, other))
        store(emitter, odd, place, builder.fsub(one, other))
