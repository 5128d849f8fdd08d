"""Basic indices, integers and slices: views, and arrays with a part set or added to."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply, Constant, Variable

from nutmill.errors import INDEX_OUT_OF_RANGE
from nutmill.model.compat import index_entries
from nutmill.model.lowering.inline.arrays import (
    ONE,
    WORD,
    ZERO,
    Emitter,
    View,
    alias,
    array_kind,
    from_front,
    integer,
    load,
    pointer,
    shared,
    store,
    view_of,
)
from nutmill.model.lowering.inline.filling import copy
from nutmill.model.lowering.inline.loops import Axes, at, nest
from nutmill.model.lowering.inline.operation import Operation

_MISFIT = "an array of the model does not fit the part of another one that it should go to"


class _Slice(NamedTuple):
    """A slice with a known step; the ends are operands, constants or open."""

    start: Variable | int | None
    stop: Variable | int | None
    step: int


def subtensor(node: Apply) -> Operation | None:
    """Write a `Subtensor` node: a view; None if a step is not known."""
    entries = _entries(node)
    if entries is None:
        return None

    def result(operands: Sequence[types.Type]) -> types.Array:
        ndim = node.outputs[0].type.ndim
        return operands[0].copy(ndim=ndim, layout=_layout(operands[0].layout, entries, ndim))

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        look_up = _look_up(emitter, node.inputs[1:], kinds[1:], values[1:])
        part = _part(emitter, view_of(emitter, kinds[0], values[0]), entries, look_up)
        return alias(emitter, result(kinds), (kinds[0], values[0]), part)

    return Operation(result, emit)


def inc_subtensor(node: Apply) -> Operation | None:
    """Write an `IncSubtensor` node: the array or a copy of it, a part of it set or added to."""
    entries = _entries(node)
    target, source = node.inputs[0].type, node.inputs[1].type
    if entries is None or target.dtype == "bool":
        return None
    copied_kind = array_kind(target.dtype, target.ndim)

    def result(operands: Sequence[types.Type]) -> types.Array:
        return operands[0] if node.op.inplace else copied_kind

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        whole = view_of(emitter, kinds[0], values[0])
        if node.op.inplace:
            value = shared(emitter, kinds[0], values[0])
        else:
            value, whole = copy(emitter, whole, copied_kind)
        look_up = _look_up(emitter, node.inputs[2:], kinds[2:], values[2:])
        part = _part(emitter, whole, entries, look_up)
        _write(emitter, part, _Source(kinds[1], values[1], source.broadcastable), add=not node.op.set_instead_of_inc)
        return value

    return Operation(result, emit)


class _Source(NamedTuple):
    """What goes into a part of an array: a number, or an array that broadcasts to the part."""

    kind: types.Type
    value: ir.Value
    broadcasts: Sequence[bool]


def _write(emitter: Emitter, part: View, source: _Source, *, add: bool) -> None:
    if not isinstance(source.kind, types.Array):
        _write_each(emitter, part, lambda _: source.value, source.kind, add=add)
        return
    view = view_of(emitter, source.kind, source.value)
    axes = Axes(view, source.broadcasts)
    n_missing = len(part.shape) - len(view.shape)

    def element(indices: Sequence[ir.Value]) -> ir.Value:
        return load(emitter, view, at(axes, indices[n_missing:]))

    def repeated_element(indices: Sequence[ir.Value]) -> ir.Value:
        is_one = [emitter.builder.icmp_unsigned("==", length, ONE) for length in view.shape]
        own = at(axes, indices[n_missing:])
        return load(emitter, view, [emitter.builder.select(one, ZERO, i) for one, i in zip(is_one, own, strict=True)])

    repeats = _repeats(emitter, axes, part.shape[n_missing:])
    if repeats is None:
        _write_each(emitter, part, element, view.kind.dtype, add=add)
        return
    with emitter.builder.if_else(repeats, likely=False) as (some, none):
        with some:
            _write_each(emitter, part, repeated_element, view.kind.dtype, add=add)
        with none:
            _write_each(emitter, part, element, view.kind.dtype, add=add)


def _repeats(emitter: Emitter, axes: Axes, shape: Sequence[ir.Value]) -> ir.Value | None:
    """Whether an axis turns out to have length 1 and is repeated, as NumPy would; ValueError if it does not fit."""
    builder, repeats = emitter.builder, None
    for own, length, broadcasts in zip(axes.view.shape, shape, axes.broadcasts, strict=True):
        if not broadcasts:
            differs = builder.icmp_unsigned("!=", own, length)
            is_longer = builder.icmp_unsigned("!=", own, ONE)
            emitter.fail_if(builder.and_(differs, is_longer), ValueError, _MISFIT)
            repeats = differs if repeats is None else builder.or_(repeats, differs)
    return repeats


def _write_each(emitter: Emitter, part: View, element: Callable, dtype: types.Type, *, add: bool) -> None:
    with nest(emitter, part.shape) as indices:
        value = emitter.context.cast(emitter.builder, element(indices), dtype, part.kind.dtype)
        if add:
            plus = emitter.builder.fadd if isinstance(part.kind.dtype, types.Float) else emitter.builder.add
            value = plus(load(emitter, part, indices), value)
        store(emitter, part, indices, value)


def _entries(node: Apply) -> list | None:
    """One entry for each indexed axis: a variable, a number or a slice; None if a step is open."""
    entries = []
    for entry in index_entries(node):
        if not isinstance(entry, slice):
            entries.append(entry)
            continue
        step = 1 if _is_open(entry.step) else _known(entry.step)
        if step is None or step == 0:
            return None
        entries.append(_Slice(_end(entry.start), _end(entry.stop), step))
    return entries


def _is_open(end) -> bool:
    return end is None or (isinstance(end, Constant) and end.data is None)


def _known(value) -> int | None:
    if isinstance(value, Constant):
        return int(value.data)
    return value if isinstance(value, int) else None


def _end(value) -> Variable | int | None:
    return None if _is_open(value) else value


def _layout(layout: str, entries: Sequence, ndim: int) -> str:
    """Whether memory still runs along the rows: if whole rows are taken, one after the other."""
    leading = [entry for entry in entries if not isinstance(entry, _Slice)]
    slices = [entry for entry in entries if isinstance(entry, _Slice)]
    in_front = list(entries[: len(leading)]) == leading
    whole = [entry == _Slice(None, None, 1) for entry in slices]
    is_contiguous = in_front and all(whole[1:]) and (not slices or slices[0].step == 1)
    return "C" if ndim == 0 or (layout == "C" and is_contiguous) else "A"


LookUp = Callable[[Variable | int], ir.Value]


def _look_up(emitter: Emitter, variables, kinds, values) -> LookUp:
    """How to find the value of an index that is an operand or a constant."""
    by_variable = {}
    for variable, kind, value in zip(variables, kinds, values, strict=True):
        if not isinstance(variable, Constant):
            by_variable[variable] = integer(emitter, kind, value)

    def look_up(index: Variable | int) -> ir.Value:
        known = _known(index)
        return by_variable[index] if known is None else WORD(known)

    return look_up


def _part(emitter: Emitter, view: View, entries: Sequence, look_up: LookUp) -> View:
    """The part of an array that the entries select."""
    begins, shape, strides = [], [], []
    for axis, (length, stride) in enumerate(zip(view.shape, view.strides, strict=True)):
        entry = entries[axis] if axis < len(entries) else _Slice(None, None, 1)
        if not isinstance(entry, _Slice):
            begins.append(_position(emitter, look_up(entry), length))
            continue
        begin, n = _extent(emitter, entry, length, look_up)
        begins.append(begin)
        shape.append(n)
        strides.append(emitter.builder.mul(stride, WORD(entry.step)))
    kind = view.kind.copy(ndim=len(shape), layout="A")
    return View(kind, pointer(emitter, view, begins), shape, strides)


def _position(emitter: Emitter, index: ir.Value, length: ir.Value) -> ir.Value:
    """An index counted from the front; leaves with IndexError if there is no such element."""
    position = from_front(emitter, index, length)
    emitter.fail_if(emitter.builder.icmp_unsigned(">=", position, length), IndexError, INDEX_OUT_OF_RANGE)
    return position


def _extent(emitter: Emitter, entry: _Slice, length: ir.Value, look_up: LookUp) -> tuple[ir.Value, ir.Value]:
    """First element and number of elements of a slice, as Python's `slice.indices` has them."""
    builder, backwards = emitter.builder, entry.step < 0
    low, high = (WORD(-1), builder.sub(length, ONE)) if backwards else (ZERO, length)
    ends = []
    for end, default in zip((entry.start, entry.stop), (high, low) if backwards else (low, high), strict=True):
        ends.append(default if end is None else _clamped(emitter, from_front(emitter, look_up(end), length), low, high))
    start, stop = ends
    span = builder.sub(start, stop) if backwards else builder.sub(stop, start)
    step = abs(entry.step)
    n = span if step == 1 else builder.sdiv(builder.add(span, WORD(step - 1)), WORD(step))
    n = builder.select(builder.icmp_signed(">", span, ZERO), n, ZERO)
    # Nothing is read of an empty part, and its first element may lie outside.
    return builder.select(builder.icmp_signed(">", n, ZERO), start, ZERO), n


def _clamped(emitter: Emitter, value: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    builder = emitter.builder
    value = builder.select(builder.icmp_signed("<", value, low), low, value)
    return builder.select(builder.icmp_signed(">", value, high), high, value)
