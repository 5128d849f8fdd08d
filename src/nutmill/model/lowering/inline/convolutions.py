"""Convolutions along one axis or two as sums: a pass over the longer operand for each element of the shorter one."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply

from nutmill.model.lowering.inline.arrays import (
    ONE,
    ZERO,
    Emitter,
    View,
    array_kind,
    integer,
    larger,
    new_array,
    smaller,
    view_of,
)
from nutmill.model.lowering.inline.linear_algebra.matrices import LOOSE, copy_into, fill_with, scratch
from nutmill.model.lowering.inline.loops import Axes, Memory, at, common_shape, nest
from nutmill.model.lowering.inline.operation import Operation
from nutmill.model.lowering.inline.views import item

_MISFIT = "convolution: the operands have different numbers of items"


def convolution(node: Apply) -> Operation:
    """Write a `Convolution` node."""
    n_axes, n_batch = node.op.n_axes, node.outputs[0].type.ndim - node.op.n_axes
    broadcasts = [v.type.broadcastable[:n_batch] for v in node.inputs[:2]]
    kind, core_kind = array_kind("float64", n_axes + n_batch), array_kind("float64", n_axes)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        operands = [view_of(emitter, k, v) for k, v in zip(kinds[:2], values[:2], strict=True)]
        full = emitter.builder.icmp_signed("!=", integer(emitter, kinds[2], values[2]), ZERO)
        batch = common_shape(emitter, [Axes(v, own) for v, own in zip(operands, broadcasts, strict=True)], _MISFIT)
        longer, shorter = _by_length(emitter, *(view.shape[n_batch:] for view in operands))
        lengths = [_length(emitter, full, *pair) for pair in zip(longer[1:], shorter[1:], strict=True)]
        result, whole = new_array(emitter, kind, [*batch, *lengths])
        swaps = longer[0]
        with (
            scratch(emitter, core_kind, longer[1:]) as a,
            scratch(emitter, core_kind, shorter[1:]) as b,
            nest(emitter, batch) as indices,
        ):
            items = [
                item(emitter, view, at(Axes(view, own), indices))
                for view, own in zip(operands, broadcasts, strict=True)
            ]
            with emitter.builder.if_else(swaps) as (swapped, straight):
                for block, order in ((swapped, items[::-1]), (straight, items)):
                    with block:
                        copy_into(emitter, order[0], a)
                        copy_into(emitter, order[1], b)
            _convolve(emitter, (a, b), item(emitter, whole, indices), full)
        return result

    return Operation(lambda operands: kind, emit)


def _by_length(emitter: Emitter, one: Sequence[ir.Value], other: Sequence[ir.Value]) -> tuple[list, list]:
    """Whether the second operand is the longer one, with the lengths of the longer, and those of the shorter."""
    builder = emitter.builder
    swaps = ir.IntType(1)(0)
    for pair in zip(one, other, strict=True):
        swaps = builder.or_(swaps, builder.icmp_signed("<", *pair))
    longer, shorter = (
        [builder.select(swaps, *pair) for pair in zip(*order, strict=True)] for order in ((other, one), (one, other))
    )
    return [swaps, *longer], [swaps, *shorter]


def _length(emitter: Emitter, full: ir.Value, longer: ir.Value, shorter: ir.Value) -> ir.Value:
    """How many sums there are; none where an operand has nothing."""
    builder = emitter.builder
    for length in (longer, shorter):
        emitter.fail_if(builder.icmp_signed("==", length, ZERO), ValueError, "convolution: an operand has no elements")
    most = builder.sub(builder.add(longer, shorter), ONE)
    least = builder.add(builder.sub(longer, shorter), ONE)
    length = builder.select(full, most, least)
    message = "convolution: neither operand is the longer one along all axes"
    emitter.fail_if(builder.icmp_signed("<", length, ONE), ValueError, message)
    return length


def _convolve(emitter: Emitter, operands: tuple[View, View], out: View, full: ir.Value) -> None:
    """Add to the sums, for each element of the shorter operand, its products with the longer one."""
    builder, (a, b) = emitter.builder, operands
    fill_with(emitter, out, 0.0)
    # Sums before this one take less than all of the shorter operand.
    skipped = [builder.select(full, ZERO, builder.sub(length, ONE)) for length in b.shape]
    with nest(emitter, b.shape) as places:
        memory = Memory(emitter)
        factor = memory.load_given(b, places)
        shifts = [builder.sub(place, skip) for place, skip in zip(places, skipped, strict=True)]
        begins = [larger(emitter, ZERO, shift) for shift in shifts]
        ends = [
            smaller(emitter, length, builder.add(own, shift))
            for length, own, shift in zip(out.shape, a.shape, shifts, strict=True)
        ]
        counts = [larger(emitter, ZERO, builder.sub(end, begin)) for begin, end in zip(begins, ends, strict=True)]
        with nest(emitter, counts) as steps:
            target = [builder.add(begin, step) for begin, step in zip(begins, steps, strict=True)]
            source = [builder.sub(place, shift) for place, shift in zip(target, shifts, strict=True)]
            product = builder.fmul(memory.load_given(a, source), factor, flags=LOOSE)
            memory.store_new(out, target, builder.fadd(memory.load_new(out, target), product, flags=LOOSE))
