"""Sums, products, extremes and truth over axes: in a register where the last axis goes away, else in memory."""

from collections.abc import Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply

from nutmill.model.graphs.patterns import reduced_axes
from nutmill.model.lowering.inline.arrays import ZERO, Emitter, View, array_kind, new_array, pointer, view_of
from nutmill.model.lowering.inline.elements.reducers import Reducer
from nutmill.model.lowering.inline.loops import Axes, Memory, flattened, nest, short_lengths
from nutmill.model.lowering.inline.operation import Operation
from nutmill.model.rewriting.fusion import has_reducer


def reduction(node: Apply) -> Operation | None:
    """Write a `CAReduce` node; None if its scalar operation is not one of those that we know."""
    operand, result = node.inputs[0].type, node.outputs[0].type
    if not has_reducer(node):
        return None
    axes = reduced_axes(node.op, operand.ndim)
    reduced = tuple(axis in axes for axis in range(operand.ndim))
    kind = array_kind(result.dtype, result.ndim)
    return Operation(lambda operands: kind, _Reduction(node, reduced, kind))


class _Plan(NamedTuple):
    """What one reduction works on: the operand, the result, and in what dtype it accumulates."""

    memory: Memory
    source: View
    result: View


class _Reduction:
    def __init__(self, node: Apply, reduced: Sequence[bool], kind: types.Array):
        result = node.outputs[0].type.dtype
        self._reducer = Reducer(node.op, node.inputs[0].type.dtype, result)
        self._static = node.inputs[0].type.shape
        self._reduced = reduced
        self._kind = kind
        # Where the last axis stays and nothing has to be converted, all of the result is accumulated at once.
        self._in_order = bool(reduced) and not reduced[-1] and self._reducer.accumulated == result

    def __call__(self, emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        source = view_of(emitter, kinds[0], values[0])
        source = source._replace(shape=short_lengths(emitter, source.shape, self._static))
        kept = [length for length, reduced in zip(source.shape, self._reduced, strict=True) if not reduced]
        value, result = new_array(emitter, self._kind, kept)
        plan = _Plan(Memory(emitter), source, result)
        (self._in_memory if self._in_order else self._in_register)(emitter, plan)
        return value

    def _in_register(self, emitter: Emitter, plan: _Plan) -> None:
        """One register for each element of the result: kept axes outside, the others inside."""
        inner = [i for i, reduced in enumerate(self._reduced) if reduced]
        outer = [i for i, reduced in enumerate(self._reduced) if not reduced]
        with nest(emitter, plan.result.shape) as kept:
            register = self._reducer.begin(emitter)
            source, shape = self._rows(emitter, plan.source, inner, dict(zip(outer, kept, strict=True)))
            with nest(emitter, shape) as indices:
                self._reducer.take(emitter, register, plan.memory.load_given(source, indices))
            plan.memory.store_new(plan.result, kept, self._reducer.end(emitter, register))

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
            plan.memory.store_new(plan.result, indices, self._reducer.start(emitter))
        with nest(emitter, plan.source.shape) as indices:
            kept = [index for index, reduced in zip(indices, self._reduced, strict=True) if not reduced]
            total = plan.memory.load_new(plan.result, kept)
            value = plan.memory.load_given(plan.source, indices)
            plan.memory.store_new(plan.result, kept, self._reducer.add(emitter, total, value))
