"""The elements of an array in another shape: a view where memory runs along the rows, else of a copy."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply

from nutmill.model.lowering.inline.arrays import (
    ONE,
    WORD,
    ZERO,
    Emitter,
    View,
    alias,
    contiguous_strides,
    integer,
    load,
    view_of,
)
from nutmill.model.lowering.inline.filling import copy
from nutmill.model.lowering.inline.loops import short_lengths
from nutmill.model.lowering.inline.operation import Operation

_MISFIT = "an array of the model has too many or too few elements for the shape that it should get"


def reshape(node: Apply) -> Operation:
    """Write a `Reshape` node; a length that is negative follows from the others."""
    out = node.outputs[0].type

    def result(operands: Sequence[types.Array]) -> types.Array:
        return operands[0].copy(ndim=out.ndim, layout="C")

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        source = view_of(emitter, kinds[0], values[0])
        wanted = view_of(emitter, kinds[1], values[1])
        differs = emitter.builder.icmp_signed("!=", wanted.shape[0], WORD(out.ndim))
        emitter.fail_if(differs, ValueError, "a shape in the model has too many or too few lengths")
        lengths = [_length(emitter, wanted, axis) for axis in range(out.ndim)]
        shape = short_lengths(emitter, _completed(emitter, lengths, _product(emitter, source.shape)), out.shape)
        if kinds[0].layout == "C":
            return _reshaped(emitter, result(kinds), (kinds[0], values[0]), source, shape)
        rows = kinds[0].copy(layout="C")
        copied, view = copy(emitter, source, rows)
        value = _reshaped(emitter, result(kinds), (rows, copied), view, shape)
        emitter.context.nrt.decref(emitter.builder, rows, copied)
        return value

    return Operation(result, emit)


def _length(emitter: Emitter, wanted: View, axis: int) -> ir.Value:
    return integer(emitter, wanted.kind.dtype, load(emitter, wanted, [WORD(axis)]))


def _product(emitter: Emitter, lengths: Sequence[ir.Value]) -> ir.Value:
    total = ONE
    for length in lengths:
        total = emitter.builder.mul(total, length)
    return total


def _completed(emitter: Emitter, lengths: Sequence[ir.Value], size: ir.Value) -> list[ir.Value]:
    """The same lengths with a negative one replaced, such that there are `size` elements in all."""
    builder = emitter.builder
    is_open = [builder.icmp_signed("<", length, ZERO) for length in lengths]
    n_open = ZERO
    for flag in is_open:
        n_open = builder.add(n_open, builder.zext(flag, WORD))
    known = _product(emitter, [builder.select(flag, ONE, n) for flag, n in zip(is_open, lengths, strict=True)])
    emitter.fail_if(builder.icmp_signed(">", n_open, ONE), ValueError, "a shape in the model has two open lengths")
    nothing = builder.icmp_signed("==", known, ZERO)
    rest = builder.sdiv(size, builder.select(nothing, ONE, known))
    whole = [builder.select(flag, rest, length) for flag, length in zip(is_open, lengths, strict=True)]
    # Of no elements in rows of length zero there may be any number.
    is_unknown = builder.and_(nothing, builder.icmp_signed("==", n_open, ONE))
    differs = builder.icmp_signed("!=", _product(emitter, whole), size)
    emitter.fail_if(builder.or_(is_unknown, differs), ValueError, _MISFIT)
    return whole


def _reshaped(
    emitter: Emitter, kind: types.Array, source: tuple[types.Array, ir.Value], view: View, shape: Sequence[ir.Value]
) -> ir.Value:
    return alias(emitter, kind, source, View(kind, view.data, shape, contiguous_strides(emitter, kind, shape)))
