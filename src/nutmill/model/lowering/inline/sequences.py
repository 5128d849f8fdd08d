"""Numbers in a row: ranges, running sums and products, an axis cut into pieces, the place of the largest."""

from collections.abc import Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply

from nutmill.model.compat import split_axis
from nutmill.model.graphs.patterns import reduced_axes
from nutmill.model.lowering.inline.arrays import (
    ONE,
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
    store,
    view_of,
)
from nutmill.model.lowering.inline.elements.scalar_rules import compare
from nutmill.model.lowering.inline.loops import nest
from nutmill.model.lowering.inline.operation import Operation, kind_of_results, one_or_several

_MISFIT = "the pieces that an array of the model is cut into do not make up its length"


def numbers_in_order(node: Apply) -> Operation | None:
    """Write an `ARange` node of integers."""
    dtype = node.outputs[0].type.dtype
    if any(np.dtype(kind).kind not in "iu" for kind in (dtype, *(v.type.dtype for v in node.inputs))):
        return None
    kind = array_kind(dtype, 1)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        builder = emitter.builder
        start, stop, step = (integer(emitter, k, v) for k, v in zip(kinds, values, strict=True))
        emitter.fail_if(builder.icmp_signed("==", step, ZERO), ValueError, "a range in the model has a step of zero")
        value, view = new_array(emitter, kind, [_n_steps(emitter, builder.sub(stop, start), step)])
        with nest(emitter, view.shape) as (i,):
            number = builder.add(start, builder.mul(i, step))
            store(emitter, view, [i], emitter.context.cast(builder, number, types.int64, kind.dtype))
        return value

    return Operation(lambda operands: kind, emit)


def _n_steps(emitter: Emitter, span: ir.Value, step: ir.Value) -> ir.Value:
    """How many numbers there are before the end."""
    builder = emitter.builder
    backwards = builder.icmp_signed("<", step, ZERO)
    span, step = (builder.select(backwards, builder.neg(value), value) for value in (span, step))
    count = builder.sdiv(builder.add(span, builder.sub(step, ONE)), step)
    return builder.select(builder.icmp_signed(">", span, ZERO), count, ZERO)


def running_total(node: Apply) -> Operation | None:
    """Write a `CumOp` node: sums or products of all elements so far along an axis."""
    axis, ndim, dtype = node.op.axis, node.inputs[0].type.ndim, node.outputs[0].type.dtype
    if axis is None or np.dtype(dtype).kind not in "iuf":
        return None
    kind = array_kind(dtype, ndim)
    is_sum = node.op.mode == "add"
    name = ("f" if np.dtype(dtype).kind == "f" else "") + ("add" if is_sum else "mul")

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        builder, source = emitter.builder, view_of(emitter, kinds[0], values[0])
        value, result = new_array(emitter, kind, source.shape)
        register = cgutils.alloca_once(builder, emitter.context.get_value_type(kind.dtype))
        with nest(emitter, [*source.shape[:axis], *source.shape[axis + 1 :]]) as others:
            builder.store(emitter.context.get_constant(kind.dtype, 0 if is_sum else 1), register)
            with nest(emitter, [source.shape[axis]]) as (i,):
                place = [*others[:axis], i, *others[axis:]]
                total = getattr(builder, name)(builder.load(register), load(emitter, source, place))
                builder.store(total, register)
                store(emitter, result, place, total)
        return value

    return Operation(lambda operands: kind, emit)


def split(node: Apply) -> Operation | None:
    """Write a `Split` node along an axis that is known: views of the pieces."""
    axis, n_pieces = split_axis(node), len(node.outputs)
    if axis is None:
        return None

    def kinds_of(operands: Sequence[types.Array]) -> list[types.Array]:
        layout = "C" if operands[0].layout == "C" and axis == 0 else "A"
        return [operands[0].copy(layout=layout)] * n_pieces

    def result(operands: Sequence[types.Array]) -> types.Type:
        return kind_of_results(kinds_of(operands))

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        builder, whole = emitter.builder, view_of(emitter, kinds[0], values[0])
        pieces, first = [], ZERO
        for kind, length in zip(kinds_of(kinds), _lengths(emitter, whole, axis, (kinds[-1], values[-1])), strict=True):
            begin = [first if i == axis else ZERO for i in range(len(whole.shape))]
            shape = [length if i == axis else own for i, own in enumerate(whole.shape)]
            piece = View(kind, pointer(emitter, whole, begin), shape, whole.strides)
            pieces.append(alias(emitter, kind, (kinds[0], values[0]), piece))
            first = builder.add(first, length)
        return one_or_several(pieces)

    def _lengths(emitter: Emitter, whole: View, axis: int, wanted: tuple[types.Array, ir.Value]) -> list[ir.Value]:
        builder, given = emitter.builder, view_of(emitter, *wanted)
        is_wrong = builder.icmp_signed("!=", given.shape[0], WORD(n_pieces))
        emitter.fail_if(is_wrong, ValueError, _MISFIT)
        lengths, total = [], ZERO
        for i in range(n_pieces):
            length = emitter.context.cast(builder, load(emitter, given, [WORD(i)]), given.kind.dtype, types.int64)
            emitter.fail_if(builder.icmp_signed("<", length, ZERO), ValueError, _MISFIT)
            lengths.append(length)
            total = builder.add(total, length)
        emitter.fail_if(builder.icmp_signed("!=", total, whole.shape[axis]), ValueError, _MISFIT)
        return lengths

    return Operation(result, emit)


def place_of_largest(node: Apply) -> Operation | None:
    """Write an `Argmax` node: the first place of the largest element, or of the first NaN, over some axes."""
    source_type, kind = node.inputs[0].type, array_kind("int64", node.outputs[0].type.ndim)
    dtype, ndim = source_type.dtype, source_type.ndim
    if np.dtype(dtype).kind not in "iuf":
        return None
    reduced = sorted(reduced_axes(node.op, ndim))
    kept = [axis for axis in range(ndim) if axis not in reduced]

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        builder, source = emitter.builder, view_of(emitter, kinds[0], values[0])
        for axis in reduced:
            is_empty = builder.icmp_signed("==", source.shape[axis], ZERO)
            emitter.fail_if(is_empty, ValueError, "the largest of no elements is asked for")
        value, result = new_array(emitter, kind, [source.shape[axis] for axis in kept])
        best = cgutils.alloca_once(builder, emitter.context.get_value_type(source.kind.dtype))
        place, count = (cgutils.alloca_once(builder, WORD) for _ in range(2))
        with nest(emitter, result.shape) as outer:
            builder.store(ZERO, count)
            with nest(emitter, [source.shape[axis] for axis in reduced]) as inner:
                where = dict(zip([*kept, *reduced], [*outer, *inner], strict=True))
                number = load(emitter, source, [where[axis] for axis in range(ndim)])
                position = builder.load(count)
                is_first = builder.icmp_signed("==", position, ZERO)
                with builder.if_then(builder.or_(is_first, _is_better(emitter, dtype, number, builder.load(best)))):
                    builder.store(number, best)
                    builder.store(position, place)
                builder.store(builder.add(position, ONE), count)
            store(emitter, result, outer, builder.load(place))
        return value

    return Operation(lambda operands: kind, emit)


def _is_better(emitter: Emitter, dtype: str, value: ir.Value, best: ir.Value) -> ir.Value:
    builder, is_larger = emitter.builder, compare(emitter, ">", dtype, value, best)
    if np.dtype(dtype).kind != "f":
        return is_larger
    is_first_nan = builder.and_(compare(emitter, "!=", dtype, value, value), compare(emitter, "==", dtype, best, best))
    return builder.or_(is_larger, is_first_nan)
