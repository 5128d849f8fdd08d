"""Diagonals of matrices, taken and laid, and unit matrices."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply

from nutmill.model.lowering.inline.arrays import (
    WORD,
    ZERO,
    Emitter,
    View,
    alias,
    array_kind,
    integer,
    load,
    new_array,
    pointer,
    smaller,
    store,
    view_of,
)
from nutmill.model.lowering.inline.filling import copy
from nutmill.model.lowering.inline.loops import nest
from nutmill.model.lowering.inline.operation import Operation


def extract_diagonal(node: Apply) -> Operation:
    """Write an `ExtractDiag` node: a view or a copy of a diagonal, which becomes the last axis."""
    along = node.op.axis1, node.op.axis2
    first = max(-node.op.offset, 0), max(node.op.offset, 0)
    ndim = node.inputs[0].type.ndim
    others = [axis for axis in range(ndim) if axis not in along]

    def result(operands: Sequence[types.Array]) -> types.Array:
        copied = array_kind(node.outputs[0].type.dtype, ndim - 1)
        return operands[0].copy(ndim=ndim - 1, layout="A") if node.op.view else copied

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        builder, view = emitter.builder, view_of(emitter, kinds[0], values[0])
        lengths = [builder.sub(view.shape[axis], WORD(begin)) for axis, begin in zip(along, first, strict=True)]
        length = _clipped(emitter, smaller(emitter, *lengths))
        begin = [WORD(dict(zip(along, first, strict=True)).get(axis, 0)) for axis in range(ndim)]
        step = builder.add(*(view.strides[axis] for axis in along))
        shape = [*(view.shape[axis] for axis in others), length]
        strides = [*(view.strides[axis] for axis in others), step]
        part = View(kinds[0].copy(ndim=ndim - 1, layout="A"), pointer(emitter, view, begin), shape, strides)
        if node.op.view:
            return alias(emitter, result(kinds), (kinds[0], values[0]), part)
        return copy(emitter, part, result(kinds))[0]

    return Operation(result, emit)


def _clipped(emitter: Emitter, length: ir.Value) -> ir.Value:
    """A length, none where it would be negative."""
    return emitter.builder.select(emitter.builder.icmp_signed("<", length, ZERO), ZERO, length)


def lay_diagonal(node: Apply) -> Operation | None:
    """Write an `AllocDiag` node: zeros with the last axis of the values on a diagonal of two new axes."""
    along, offset, ndim = (node.op.axis1, node.op.axis2), node.op.offset, node.outputs[0].type.ndim
    if not 0 <= along[0] < along[1]:
        return None
    kind = array_kind(node.outputs[0].type.dtype, ndim)
    begin = WORD(max(-offset, 0)), WORD(max(offset, 0))

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        builder, source = emitter.builder, view_of(emitter, kinds[0], values[0])
        side = builder.add(source.shape[-1], WORD(abs(offset)))
        value, result = new_array(emitter, kind, _with(along, source.shape[:-1], (side, side)))
        with nest(emitter, result.shape) as indices:
            store(emitter, result, indices, emitter.context.get_constant_null(kind.dtype))
        with nest(emitter, source.shape) as indices:
            places = [builder.add(indices[-1], first) for first in begin]
            store(emitter, result, _with(along, indices[:-1], places), load(emitter, source, indices))
        return value

    return Operation(lambda operands: kind, emit)


def _with(axes: Sequence[int], others: Sequence[ir.Value], inserted: Sequence[ir.Value]) -> list[ir.Value]:
    """Lengths or indices with those of two axes inserted, the first axis first."""
    whole = list(others)
    for axis, value in zip(axes, inserted, strict=True):
        whole.insert(axis, value)
    return whole


def unit_matrix(node: Apply) -> Operation:
    """Write an `Eye` node: ones on a diagonal that an operand names, zeros elsewhere."""
    kind = array_kind(node.outputs[0].type.dtype, 2)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        builder = emitter.builder
        rows, columns, offset = (integer(emitter, k, v) for k, v in zip(kinds, values, strict=True))
        value, result = new_array(emitter, kind, [_clipped(emitter, rows), _clipped(emitter, columns)])
        one, zero = (emitter.context.get_constant(kind.dtype, number) for number in (1, 0))
        with nest(emitter, result.shape) as (i, j):
            is_on = builder.icmp_signed("==", builder.add(i, offset), j)
            store(emitter, result, [i, j], builder.select(is_on, one, zero))
        return value

    return Operation(lambda operands: kind, emit)
