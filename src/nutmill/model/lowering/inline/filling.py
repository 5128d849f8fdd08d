"""New arrays filled from others: one value or array over a shape, scalars side by side, arrays end to end."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply
from pytensor.tensor.type import TensorType

from nutmill.model.compat import join_axis
from nutmill.model.lowering.inline.arrays import (
    WORD,
    ZERO,
    Emitter,
    View,
    array_kind,
    integer,
    itemsize,
    new_array,
    pointer,
    scalar,
    store,
    view_of,
)
from nutmill.model.lowering.inline.loops import Axes, Memory, at, flattened, nest, with_leading
from nutmill.model.lowering.inline.operation import Operation

_MISFIT = "an array of the model does not fit the shape that it should be repeated to"


def alloc(node: Apply) -> Operation:
    """Write an `Alloc` node: a value repeated over a shape."""
    kind = array_kind(node.outputs[0].type.dtype, node.outputs[0].type.ndim)
    # Axes that the value lacks are in front.
    own = node.inputs[0].type.broadcastable

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        shape = _wanted_shape(emitter, kind, kinds[1:], values[1:])
        result, view = new_array(emitter, kind, shape)
        if isinstance(kinds[0], types.Array):
            source = with_leading(view_of(emitter, kinds[0], values[0]), own, len(shape))
            fill(emitter, source, view)
        else:
            number = emitter.context.cast(emitter.builder, values[0], kinds[0], kind.dtype)
            with nest(emitter, shape) as indices:
                store(emitter, view, indices, number)
        return result

    return Operation(lambda operands: kind, emit)


def _wanted_shape(emitter: Emitter, kind: types.Array, kinds, values) -> list[ir.Value]:
    """Lengths that are operands: none is negative, and the bytes of an array of that shape can be counted."""
    shape = [_length(emitter, k, v) for k, v in zip(kinds, values, strict=True)]
    size = WORD(itemsize(emitter, kind))
    for length in shape:
        product = emitter.builder.smul_with_overflow(size, length)
        is_too_big = emitter.builder.extract_value(product, 1)
        emitter.fail_if(is_too_big, MemoryError, "not enough memory for an array of the model")
        size = emitter.builder.extract_value(product, 0)
    return shape


def _length(emitter: Emitter, kind: types.Type, value: ir.Value) -> ir.Value:
    length = integer(emitter, kind, value)
    emitter.fail_if(emitter.builder.icmp_signed("<", length, ZERO), ValueError, "a length in the model is negative")
    return length


def fill(emitter: Emitter, source: Axes, target: View, message: str = _MISFIT) -> None:
    """Copy an array over a new one of a shape that it broadcasts to; leaves with ValueError if it does not."""
    for axis, broadcasts in enumerate(source.broadcasts):
        if not broadcasts:
            differs = emitter.builder.icmp_unsigned("!=", source.view.shape[axis], target.shape[axis])
            emitter.fail_if(differs, ValueError, message)
    shape = target.shape
    flat = flattened(emitter, [source, Axes(target, (False,) * len(shape))], shape)
    if flat is not None:
        (source, (target, _)), shape = flat
    memory = Memory(emitter)
    fixed = memory.load_given(source.view, at(source, [None] * len(shape))) if source.is_constant else None
    with nest(emitter, shape) as indices:
        value = memory.load_given(source.view, at(source, indices)) if fixed is None else fixed
        memory.store_new(
            target, indices, emitter.context.cast(emitter.builder, value, source.view.kind.dtype, target.kind.dtype)
        )


def copy(emitter: Emitter, source: View, kind: types.Array) -> tuple[ir.Value, View]:
    """A new array with the same elements."""
    value, view = new_array(emitter, kind, source.shape)
    fill(emitter, Axes(source, (False,) * len(source.shape)), view)
    return value, view


def deep_copy(node: Apply) -> Operation | None:
    """Write a `DeepCopyOp` node."""
    if not isinstance(node.inputs[0].type, TensorType):
        return None
    kind = array_kind(node.outputs[0].type.dtype, node.outputs[0].type.ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        return copy(emitter, view_of(emitter, kinds[0], values[0]), kind)[0]

    return Operation(lambda operands: kind, emit)


def uninitialised(node: Apply) -> Operation:
    """Write an `AllocEmpty` node."""
    kind = array_kind(node.outputs[0].type.dtype, node.outputs[0].type.ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        shape = _wanted_shape(emitter, kind, kinds, values)
        return new_array(emitter, kind, shape)[0]

    return Operation(lambda operands: kind, emit)


def make_vector(node: Apply) -> Operation:
    """Write a `MakeVector` node: scalars side by side."""
    kind = array_kind(node.outputs[0].type.dtype, 1)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        result, view = new_array(emitter, kind, [WORD(len(values))])
        for position, (operand, value) in enumerate(zip(kinds, values, strict=True)):
            number_kind, number = scalar(emitter, operand, value)
            number = emitter.context.cast(emitter.builder, number, number_kind, kind.dtype)
            store(emitter, view, [WORD(position)], number)
        return result

    return Operation(lambda operands: kind, emit)


def join(node: Apply) -> Operation | None:
    """Write a `Join` node: arrays end to end along an axis that is known."""
    axis, n_before = join_axis(node)
    ndim = node.outputs[0].type.ndim
    if axis is None:
        return None
    along = axis % ndim
    kind = array_kind(node.outputs[0].type.dtype, ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        views = [view_of(emitter, k, v) for k, v in zip(kinds[n_before:], values[n_before:], strict=True)]
        shape = list(views[0].shape)
        for view in views[1:]:
            shape[along] = emitter.builder.add(shape[along], view.shape[along])
        result, target = new_array(emitter, kind, shape)
        first = ZERO
        for view in views:
            begin = [first if i == along else ZERO for i in range(ndim)]
            lengths = [view.shape[i] if i == along else length for i, length in enumerate(shape)]
            part = View(kind.copy(layout="A"), pointer(emitter, target, begin), lengths, target.strides)
            fill(emitter, Axes(view, (False,) * ndim), part)
            first = emitter.builder.add(first, view.shape[along])
        return result

    return Operation(lambda operands: kind, emit)
