"""Arrays in rising order, the order itself, and places in an array that is in order."""

from collections.abc import Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply, Constant
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.scalar.basic import upcast

from nutmill.model.lowering.inline.arrays import (
    ONE,
    ZERO,
    Emitter,
    View,
    array_at,
    array_kind,
    load,
    new_array,
    store,
    view_of,
)
from nutmill.model.lowering.inline.elements.scalar_rules import cast, compare
from nutmill.model.lowering.inline.linear_algebra.matrices import scratch
from nutmill.model.lowering.inline.loops import nest
from nutmill.model.lowering.inline.operation import Operation


def place_in_order(node: Apply) -> Operation | None:
    """Write a `SearchsortedOp` node: how many numbers of a vector in rising order come before others."""
    if len(node.inputs) != 2:
        return None  # with an order of its own
    dtypes = [v.type.dtype for v in node.inputs]
    common = upcast(*dtypes)
    if any(np.dtype(dtype).kind not in "if" for dtype in (*dtypes, common)):
        return None
    kind = array_kind("int64", node.outputs[0].type.ndim)
    sign = "<" if node.op.side == "left" else "<="

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        ordered, wanted = (view_of(emitter, k, v) for k, v in zip(kinds, values, strict=True))
        result, view = new_array(emitter, kind, wanted.shape)
        with nest(emitter, wanted.shape) as indices:
            number = cast(emitter, load(emitter, wanted, indices), dtypes[1], common)

            def is_before(place: ir.Value, number: ir.Value = number) -> ir.Value:
                one = cast(emitter, load(emitter, ordered, [place]), dtypes[0], common)
                return _is_before(emitter, sign, common, one, number)

            store(emitter, view, indices, _count(emitter, ordered.shape[0], is_before))
        return result

    return Operation(lambda operands: kind, emit)


def _is_before(emitter: Emitter, sign: str, dtype: str, one: ir.Value, other: ir.Value) -> ir.Value:
    """Compare as NumPy orders numbers: NaN comes last."""
    builder, is_less = emitter.builder, compare(emitter, sign, dtype, one, other)
    if np.dtype(dtype).kind != "f":
        return is_less
    is_nan = [builder.fcmp_unordered("uno", value, value) for value in (one, other)]
    last = is_nan[1] if sign == "<=" else builder.and_(is_nan[1], builder.not_(is_nan[0]))
    return builder.or_(is_less, last)


def _count(emitter: Emitter, length: ir.Value, is_before) -> ir.Value:
    """How many first places of so many hold, of which those that do come first: halves, without a jump."""
    builder = emitter.builder
    first, left = cgutils.alloca_once_value(builder, ZERO), cgutils.alloca_once_value(builder, length)
    begin, inside, end = (builder.append_basic_block(name) for name in ("search", "half", "found"))
    builder.branch(begin)
    builder.position_at_end(begin)
    builder.cbranch(builder.icmp_signed(">", builder.load(left), ZERO), inside, end)
    builder.position_at_end(inside)
    half = builder.lshr(builder.load(left), ONE)
    middle = builder.add(builder.load(first), half)
    goes_on = is_before(middle)
    rest = builder.sub(builder.sub(builder.load(left), half), ONE)
    builder.store(builder.select(goes_on, builder.add(middle, ONE), builder.load(first)), first)
    builder.store(builder.select(goes_on, rest, half), left)
    builder.branch(begin)
    builder.position_at_end(end)
    return builder.load(first)


def in_order(node: Apply) -> Operation | None:
    """Write a `SortOp` node: numbers along an axis in rising order, NaN last."""
    return _ordering(node, gives_places=False)


def order_of(node: Apply) -> Operation | None:
    """Write an `ArgSortOp` node: the places of the numbers along an axis in rising order; equals stay in theirs."""
    return _ordering(node, gives_places=True)


def _ordering(node: Apply, *, gives_places: bool) -> Operation | None:
    axis, source = _axis(node), node.inputs[0].type
    if axis is None or source.dtype not in ("float64", "int64"):
        return None
    ndim = source.ndim
    kind = array_kind("int64" if gives_places else source.dtype, ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        given = view_of(emitter, kinds[0], values[0])
        result, view = new_array(emitter, kind, given.shape)
        length = given.shape[axis]
        with (
            scratch(emitter, array_kind(source.dtype, 1), [length]) as line,
            scratch(emitter, array_kind("int64", 1), [length]) as places,
            scratch(emitter, array_kind("int64", 1), [length]) as spare,
            nest(emitter, [given.shape[i] for i in range(ndim) if i != axis]) as others,
        ):
            with nest(emitter, [length]) as (i,):
                store(emitter, line, [i], load(emitter, given, [*others[:axis], i, *others[axis:]]))
            _sort(emitter, line, places, spare)
            with nest(emitter, [length]) as (i,):
                place = load(emitter, places, [i])
                value = place if gives_places else load(emitter, line, [place])
                store(emitter, view, [*others[:axis], i, *others[axis:]], value)
        return result

    return Operation(lambda operands: kind, emit)


def _axis(node: Apply) -> int | None:
    """The axis, which PyTensor 2 has as an operand; None if it is not known."""
    axis = getattr(node.op, "axis", None)
    if axis is None and len(node.inputs) == 2 and isinstance(node.inputs[1], Constant):
        axis = int(node.inputs[1].data)
    ndim = node.inputs[0].type.ndim
    return None if axis is None or not ndim else axis % ndim


def _sort(emitter: Emitter, line: View, places: View, spare: View) -> None:
    """Fill `places` with the order of a line."""
    arrays = [array_at(emitter, view) for view in (line, places, spare)]
    kinds = [view.kind for view in (line, places, spare)]
    function = emitter.typing.resolve_value_type(_merge_sort)
    signature = emitter.typing.resolve_function_type(function, tuple(kinds), {})
    emitter.context.get_function(function, signature)(emitter.builder, arrays)


@numba_njit
def _merge_sort(line, places, spare):
    """Write into `places` the order of `line`: runs of twice the length, merged from one array into the other."""
    n = len(line)
    for i in range(n):
        places[i] = i
    width = 1
    while width < n:
        for begin in range(0, n, 2 * width):
            middle, end = min(begin + width, n), min(begin + 2 * width, n)
            left, right = begin, middle
            for at in range(begin, end):
                # From the left unless the right one comes before it; NaN comes last.
                takes_right = left >= middle
                if not takes_right and right < end:
                    one, other = line[places[left]], line[places[right]]
                    takes_right = other < one or (one != one and other == other)
                if takes_right:
                    spare[at] = places[right]
                    right += 1
                else:
                    spare[at] = places[left]
                    left += 1
        for i in range(n):
            places[i] = spare[i]
        width *= 2
