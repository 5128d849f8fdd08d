"""Reduces values to one in a register: sums, products, extremes and truth, each from its neutral value on."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from pytensor.scalar import basic as scalar_ops
from pytensor.tensor.elemwise import CAReduce

from nutmill.model.lowering.inline.arrays import Emitter, numba_dtype
from nutmill.model.lowering.inline.elements.scalar_operations import Scalar
from nutmill.model.lowering.inline.elements.scalar_rules import cast, compare, number

_BY_ORDER = {scalar_ops.Maximum: ">", scalar_ops.Minimum: "<"}


class Reducer:
    """How values of one dtype are reduced to one of another.

    `op` is of one of the scalar operations in `fusion.REDUCERS`.
    """

    def __init__(self, op: CAReduce, dtype: str, result: str):
        self.accumulated = getattr(op, "acc_dtype", None) or result
        self._op, self._dtype, self._result = op, dtype, result
        self._identity = _identity(op.scalar_op, np.dtype(self.accumulated))
        self._combine = _combiner(op.scalar_op, self.accumulated)

    @property
    def is_sum(self) -> bool:
        """Whether it adds."""
        return isinstance(self._op.scalar_op, scalar_ops.Add)

    def start(self, emitter: Emitter) -> ir.Value:
        """What nothing is reduced to."""
        return emitter.context.get_constant(numba_dtype(self.accumulated), self._identity)

    def add(self, emitter: Emitter, total: ir.Value, value: ir.Value) -> ir.Value:
        """One more value."""
        return self._combine(emitter, [total, cast(emitter, value, self._dtype, self.accumulated)])[0]

    def of_totals(self) -> "Reducer":
        """How several totals become one."""
        return Reducer(self._op, self.accumulated, self._result)

    def begin(self, emitter: Emitter) -> ir.Value:
        """A register that holds the start."""
        register = cgutils.alloca_once(emitter.builder, emitter.context.get_value_type(numba_dtype(self.accumulated)))
        emitter.builder.store(self.start(emitter), register)
        return register

    def take(self, emitter: Emitter, register: ir.Value, value: ir.Value) -> None:
        """Add a value to a register."""
        emitter.builder.store(self.add(emitter, emitter.builder.load(register), value), register)

    def end(self, emitter: Emitter, register: ir.Value) -> ir.Value:
        """What a register holds, as the result's dtype."""
        return cast(emitter, emitter.builder.load(register), self.accumulated, self._result)


class LogProduct:
    """The sum of the logarithms of the roots of numbers, by one logarithm of their product.

    What is kept is a product of mantissas between 1 and 2, and a sum of exponents: they may be of any size, and
    nothing is called in a loop, which vectorises.
    """

    # The product of so many mantissas is a number.
    LONGEST = 1000

    def __init__(self, emitter: Emitter):
        self._product = cgutils.alloca_once_value(emitter.builder, number(1.0))
        self._exponents = cgutils.alloca_once_value(emitter.builder, _BITS(0))

    def take(self, emitter: Emitter, value: ir.Value, dtype: str) -> None:
        """One more number of a dtype, positive."""
        builder = emitter.builder
        mantissa, exponent = _taken_apart(emitter, cast(emitter, value, dtype, "float64"))
        builder.store(builder.fmul(builder.load(self._product), mantissa), self._product)
        builder.store(builder.add(builder.load(self._exponents), exponent), self._exponents)

    def end(self, emitter: Emitter, dtype: str) -> ir.Value:
        """The sum, as a number of a dtype."""
        builder = emitter.builder
        product, exponents = builder.load(self._product), builder.load(self._exponents)
        total = cgutils.alloca_once_value(builder, number(0.0))
        is_one = builder.and_(
            builder.fcmp_ordered("==", product, number(1.0)), builder.icmp_signed("==", exponents, _BITS(0))
        )
        with builder.if_then(builder.not_(is_one)):  # a model as it is written mostly needs none
            mantissa, exponent = _taken_apart(emitter, product)
            powers = builder.sitofp(builder.add(exponents, exponent), mantissa.type)
            logarithm = builder.fadd(_log_of_mantissa(emitter, mantissa), builder.fmul(powers, number(math.log(2.0))))
            builder.store(builder.fmul(number(0.5), logarithm), total)
        return cast(emitter, builder.load(total), "float64", dtype)


_BITS = ir.IntType(64)
_MANTISSA_BITS, _EXPONENT_OF_ONE = 52, 1023
# Of the series below, for the last bit.
_N_TERMS = 11


def _taken_apart(emitter: Emitter, value: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Mantissa, from 1 to 2, and exponent of a positive float64."""
    builder = emitter.builder
    bits = builder.bitcast(value, _BITS)
    fraction = builder.and_(bits, _BITS((1 << _MANTISSA_BITS) - 1))
    mantissa = builder.bitcast(builder.or_(fraction, _BITS(_EXPONENT_OF_ONE << _MANTISSA_BITS)), value.type)
    return mantissa, builder.sub(builder.lshr(bits, _BITS(_MANTISSA_BITS)), _BITS(_EXPONENT_OF_ONE))


def _log_of_mantissa(emitter: Emitter, mantissa: ir.Value) -> ir.Value:
    """Logarithm of a number from 1 to 2, without a call, for which all registers would have to be saved.

    With y the number or half of it, between 0.7 and 1.42, log y = 2 artanh(t) = 2 t (1 + t^2 / 3 + t^4 / 5 + ...)
    where t = (y - 1) / (y + 1).
    """
    builder = emitter.builder
    is_large = builder.fcmp_ordered(">", mantissa, number(math.sqrt(2.0)))
    y = builder.select(is_large, builder.fmul(mantissa, number(0.5)), mantissa)
    t = builder.fdiv(builder.fsub(y, number(1.0)), builder.fadd(y, number(1.0)))
    power = builder.fmul(t, t)
    terms: list[ir.Value] = [number(2.0 / (2 * term + 1)) for term in range(_N_TERMS)]
    while len(terms) > 1:  # in pairs, so that little waits for what is before it
        pairs = zip(terms[::2], terms[1::2], strict=False)
        rest = terms[len(terms) // 2 * 2 :]
        terms = [builder.fadd(first, builder.fmul(second, power)) for first, second in pairs] + rest
        power = builder.fmul(power, power)
    logarithm = builder.fmul(t, terms[0])
    return builder.fadd(logarithm, builder.select(is_large, number(math.log(2.0)), number(0.0)))


def _identity(op: scalar_ops.ScalarOp, dtype: np.dtype):
    """What a reduction of nothing gives: for extremes, the other end of the dtype."""
    if type(op) not in _BY_ORDER or dtype.kind == "f":
        return dtype.type(op.identity).item()
    if dtype.kind == "b":
        return op.identity > 0
    return int(np.iinfo(dtype).max if op.identity > 0 else np.iinfo(dtype).min)


def _combiner(op: scalar_ops.ScalarOp, dtype: str) -> Callable:
    """How two values become one; an extreme of numbers is NaN if one of them is.

    So have it NumPy and PyTensor 3, while the Numba form of PyTensor 2 passes over NaN.
    """
    sign = _BY_ORDER.get(type(op))
    if sign is None:
        return Scalar(op, [dtype, dtype]).emit
    name = "llvm.maximum" if sign == ">" else "llvm.minimum"

    def extreme(emitter: Emitter, values: Sequence[ir.Value]) -> list[ir.Value]:
        total, value = values
        if np.dtype(dtype).kind != "f":
            return [emitter.builder.select(compare(emitter, sign, dtype, value, total), value, total)]
        # LLVM knows how to vectorise these.
        signature = ir.FunctionType(value.type, [value.type] * 2)
        function = emitter.builder.module.declare_intrinsic(name, [value.type], signature)
        return [emitter.builder.call(function, [total, value])]

    return extreme
