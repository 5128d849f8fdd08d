"""Two values become one: sums, products, extremes and truth, in a register that begins with what nothing gives."""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from pytensor.scalar import basic as scalar_ops
from pytensor.tensor.elemwise import CAReduce

from nutmill.model.lowering.inline.arrays import Emitter, numba_dtype
from nutmill.model.lowering.inline.rules import cast, compare
from nutmill.model.lowering.inline.scalar_operations import Scalar

_BY_ORDER = {scalar_ops.Maximum: ">", scalar_ops.Minimum: "<"}


class Reducer:
    """How values of one dtype are reduced to one of another.

    Parameters
    ----------
    op : CAReduce
        Of one of the scalar operations in `fusion.REDUCERS`.
    dtype, result : str
    """

    def __init__(self, op: CAReduce, dtype: str, result: str):
        self.accumulated = getattr(op, "acc_dtype", None) or result
        self._dtype, self._result = dtype, result
        self._identity = _identity(op.scalar_op, np.dtype(self.accumulated))
        self._combine = _combiner(op.scalar_op, self.accumulated)

    def start(self, emitter: Emitter) -> ir.Value:
        """What nothing is reduced to."""
        return emitter.context.get_constant(numba_dtype(self.accumulated), self._identity)

    def add(self, emitter: Emitter, total: ir.Value, value: ir.Value) -> ir.Value:
        """One more value."""
        return self._combine(emitter, [total, cast(emitter, value, self._dtype, self.accumulated)])[0]

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
