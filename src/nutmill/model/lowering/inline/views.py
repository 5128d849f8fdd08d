"""Views of arrays: axes in another order, axes of length one added or dropped, checked shapes, lengths."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply
from pytensor.tensor.type import TensorType

from nutmill.model.lowering.inline.arrays import (
    ONE,
    WORD,
    ZERO,
    Emitter,
    View,
    alias,
    array_kind,
    integer,
    itemsize,
    load,
    new_array,
    pointer,
    shared,
    store,
    truth,
    view_of,
)
from nutmill.model.lowering.inline.operation import Operation


def dim_shuffle(node: Apply) -> Operation:
    """Write a `DimShuffle` node: a view."""
    order = tuple(axis if isinstance(axis, int) else None for axis in node.op.new_order)
    dropped = tuple(axis for axis in range(node.op.input_ndim) if axis not in order)

    def result(operands: Sequence[types.Array]) -> types.Array:
        return operands[0].copy(ndim=len(order), layout=_layout(operands[0].layout, order))

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        source = view_of(emitter, kinds[0], values[0])
        for axis in dropped:
            too_long = emitter.builder.icmp_unsigned("!=", source.shape[axis], ONE)
            emitter.fail_if(too_long, ValueError, "an axis of the model that should have length 1 is longer")
        kind = result(kinds)
        shape = [ONE if axis is None else source.shape[axis] for axis in order]
        return alias(
            emitter, kind, (kinds[0], values[0]), View(kind, source.data, shape, _strides(emitter, source, order))
        )

    return Operation(result, emit)


def _layout(layout: str, order: Sequence[int | None]) -> str:
    """Whether memory still runs along the rows: axes of length one change nothing, another order does."""
    kept = [axis for axis in order if axis is not None]
    if layout == "C" and kept == sorted(kept):
        return "C"
    if layout == "C" and len(order) == 2 and kept == [1, 0]:
        return "F"
    return "A" if order else "C"


def _strides(emitter: Emitter, source: View, order: Sequence[int | None]) -> list[ir.Value]:
    """A new axis gets the stride that it has in an array whose rows lie one after the other."""
    strides: list[ir.Value] = []
    step = WORD(itemsize(emitter, source.kind))
    for axis in reversed(order):
        if axis is None:
            strides.insert(0, step)
        else:
            strides.insert(0, source.strides[axis])
            step = emitter.builder.mul(source.strides[axis], source.shape[axis])
    return strides


def specify_shape(node: Apply) -> Operation:
    """Write a `SpecifyShape` node: the same array, once its lengths are what they should be."""
    axes = [i for i, length in enumerate(node.inputs[1:]) if not hasattr(length, "data") or length.data is not None]

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        view = view_of(emitter, kinds[0], values[0])
        for axis in axes:
            wanted = integer(emitter, kinds[1 + axis], values[1 + axis])
            differs = emitter.builder.icmp_signed("!=", view.shape[axis], wanted)
            emitter.fail_if(
                differs, AssertionError, "an array of the model does not have the shape that it should have"
            )
        return shared(emitter, kinds[0], values[0])

    return Operation(lambda operands: operands[0], emit)


def checked(node: Apply) -> Operation:
    """Write a `CheckAndRaise` node: the same value, once its conditions are true."""

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        for kind, value in zip(kinds[1:], values[1:], strict=True):
            emitter.fail_if(emitter.builder.not_(truth(emitter, kind, value)), node.op.exc_type, node.op.msg)
        return shared(emitter, kinds[0], values[0])

    return Operation(lambda operands: operands[0], emit)


def same_array(node: Apply) -> Operation | None:
    """Write a `ViewOp` node: the same array as one more reference."""
    if not isinstance(node.inputs[0].type, TensorType):
        return None
    return Operation(lambda operands: operands[0], lambda emitter, kinds, values: shared(emitter, kinds[0], values[0]))


def whole_shape(node: Apply) -> Operation:
    """Write a `Shape` node: the lengths of all axes."""
    kind = array_kind("int64", 1)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        shape = view_of(emitter, kinds[0], values[0]).shape
        value, view = new_array(emitter, kind, [WORD(len(shape))])
        for axis, length in enumerate(shape):
            store(emitter, view, [WORD(axis)], length)
        return value

    return Operation(lambda operands: kind, emit)


def length_of_axis(node: Apply) -> Operation:
    """Write a `Shape_i` node: a new array without axes."""
    kind = array_kind("int64", 0)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        value, view = new_array(emitter, kind, [])
        store(emitter, view, [], view_of(emitter, kinds[0], values[0]).shape[node.op.i])
        return value

    return Operation(lambda operands: kind, emit)


def scalar_from_array(node: Apply) -> Operation:
    """Write a `ScalarFromTensor` node."""

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        return load(emitter, view_of(emitter, kinds[0], values[0]), [])

    return Operation(lambda operands: operands[0].dtype, emit)


def array_from_scalar(node: Apply) -> Operation:
    """Write a `TensorFromScalar` node."""
    kind = array_kind(node.outputs[0].type.dtype, 0)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        value, view = new_array(emitter, kind, [])
        store(emitter, view, [], emitter.context.cast(emitter.builder, values[0], kinds[0], kind.dtype))
        return value

    return Operation(lambda operands: kind, emit)


def item(emitter: Emitter, view: View, indices: Sequence[ir.Value]) -> View:
    """One matrix or vector of a stack."""
    n_batch, ndim = len(indices), len(view.shape) - len(indices)
    layout = view.kind.layout if not n_batch or view.kind.layout == "C" else "A"
    place = pointer(emitter, view, [*indices, *[ZERO] * ndim])
    kind = view.kind.copy(ndim=ndim, layout=layout if ndim else "C")
    return View(kind, place, view.shape[n_batch:], view.strides[n_batch:])
