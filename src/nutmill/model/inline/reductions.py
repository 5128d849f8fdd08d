"""Sums, products, extremes and truth over axes: in a register where the last axis goes away, else in memory."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply
from pytensor.scalar import basic as scalar_ops

from nutmill.model.inline.arrays import ZERO, Emitter, View, array_kind, new_array, numba_dtype, pointer, view_of
from nutmill.model.inline.loops import Axes, Memory, flattened, nest
from nutmill.model.inline.operation import Operation
from nutmill.model.inline.rules import cast, compare
from nutmill.model.inline.scalars import Scalar

_BY_ORDER = {scalar_ops.Maximum: ">", scalar_ops.Minimum: "<"}
_SUPPORTED = (scalar_ops.Add, scalar_ops.Mul, scalar_ops.AND, scalar_ops.OR, *_BY_ORDER)


def reduction(node: Apply) -> Operation | None:
    """Write a `CAReduce` node; None if its scalar operation is not one of those that we know."""
    operand, result = node.inputs[0].type, node.outputs[0].type
    dtypes = operand.dtype, result.dtype
    if type(node.op.scalar_op) not in _SUPPORTED or any(np.dtype(dtype).kind not in "bif" for dtype in dtypes):
        return None
    axes = range(operand.ndim) if node.op.axis is None else [axis % operand.ndim for axis in node.op.axis]
    reduced = tuple(axis in axes for axis in range(operand.ndim))
    kind = array_kind(result.dtype, result.ndim)
    return Operation("reduction", lambda operands: kind, _Reduction(node, reduced, kind))


class _Plan(NamedTuple):
    """What one reduction works on: the operand, the result, and in what dtype it accumulates."""

    memory: Memory
    source: View
    result: View


class _Reduction:
    def __init__(self, node: Apply, reduced: Sequence[bool], kind: types.Array):
        self._dtype = node.inputs[0].type.dtype
        self._accumulated = getattr(node.op, "acc_dtype", None) or node.outputs[0].type.dtype
        self._result = node.outputs[0].type.dtype
        self._reduced = reduced
        self._kind = kind
        self._identity = _identity(node.op.scalar_op, np.dtype(self._accumulated))
        self._combine = _combiner(node.op.scalar_op, self._accumulated)

    def __call__(self, emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        source = view_of(emitter, kinds[0], values[0])
        kept = [length for length, reduced in zip(source.shape, self._reduced, strict=True) if not reduced]
        value, result = new_array(emitter, self._kind, kept)
        plan = _Plan(Memory(emitter), source, result)
        in_memory = self._reduced and not self._reduced[-1] and self._accumulated == self._result
        (self._in_memory if in_memory else self._in_register)(emitter, plan)
        return value

    def _start(self, emitter: Emitter) -> ir.Value:
        return emitter.context.get_constant(numba_dtype(self._accumulated), self._identity)

    def _add(self, emitter: Emitter, total: ir.Value, value: ir.Value) -> ir.Value:
        return self._combine(emitter, [total, cast(emitter, value, self._dtype, self._accumulated)])[0]

    def _in_register(self, emitter: Emitter, plan: _Plan) -> None:
        """One register for each element of the result: kept axes outside, the others inside."""
        builder = emitter.builder
        inner = [i for i, reduced in enumerate(self._reduced) if reduced]
        outer = [i for i, reduced in enumerate(self._reduced) if not reduced]
        with nest(emitter, plan.result.shape) as kept:
            register = cgutils.alloca_once(builder, emitter.context.get_value_type(numba_dtype(self._accumulated)))
            builder.store(self._start(emitter), register)
            source, shape = self._rows(emitter, plan.source, inner, dict(zip(outer, kept, strict=True)))
            with nest(emitter, shape) as indices:
                value = plan.memory.load_given(source, indices)
                builder.store(self._add(emitter, builder.load(register), value), register)
            total = cast(emitter, builder.load(register), self._accumulated, self._result)
            plan.memory.store_new(plan.result, kept, total)

    def _rows(self, emitter: Emitter, source: View, inner: list[int], at: dict[int, ir.Value]):
        """The part of the operand that one element of the result is made of, as one row if it lies so."""
        if not at:
            flat = flattened(emitter, [Axes(source, (False,) * len(source.shape))], source.shape)
            return (source, source.shape) if flat is None else (flat[0][0].view, flat[1])
        offset = pointer(emitter, source, [at.get(axis, ZERO) for axis in range(len(source.shape))])
        shape = [source.shape[axis] for axis in inner]
        row = View(source.kind.copy(ndim=len(inner), layout="A"), offset, shape, [source.strides[i] for i in inner])
        return row, shape

    def _in_memory(self, emitter: Emitter, plan: _Plan) -> None:
        """All of the result at once, in the order of the operand: the last axis stays the fastest."""
        with nest(emitter, plan.result.shape) as indices:
            plan.memory.store_new(plan.result, indices, self._start(emitter))
        with nest(emitter, plan.source.shape) as indices:
            kept = [index for index, reduced in zip(indices, self._reduced, strict=True) if not reduced]
            total = plan.memory.load_new(plan.result, kept)
            value = plan.memory.load_given(plan.source, indices)
            plan.memory.store_new(plan.result, kept, self._add(emitter, total, value))


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
