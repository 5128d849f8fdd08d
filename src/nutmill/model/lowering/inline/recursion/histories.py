"""Arrays that a recursion goes along row by row: the row of a step, and what the array is in the end."""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import (
    ONE,
    WORD,
    ZERO,
    Emitter,
    Value,
    View,
    alias,
    array_at,
    load,
    new_array,
    pointer,
    scalar,
    store,
    view_of,
)
from nutmill.model.lowering.inline.filling import fill
from nutmill.model.lowering.inline.loops import Axes, nest, short_lengths

_CHANGED = "a scan in the model gives an array of another shape than at its first step"


class Rows:
    """Rows of an array, or its numbers: they move on by one from step to step, and begin again at its end.

    Parameters
    ----------
    emitter : Emitter
        Standing before the recursion.
    view : View
        Of the array.
    static : sequence
        Lengths that its type tells.
    offsets : sequence of int
        How far from the number of the step the rows lie.
    """

    def __init__(self, emitter: Emitter, view: View, static: Sequence[int | None], offsets: Sequence[int]):
        self._emitter = emitter
        self.view = with_short_rows(emitter, view, static)
        self._places = {
            offset: cgutils.alloca_once_value(emitter.builder, self._wrapped(offset))
            for offset in dict.fromkeys(offsets)
        }

    def _wrapped(self, offset: int) -> ir.Value:
        builder, length = self._emitter.builder, self.view.shape[0]
        at_least_one = builder.select(builder.icmp_unsigned("==", length, ZERO), ONE, length)
        return builder.urem(WORD(offset), at_least_one)

    def first(self, offset: int) -> ir.Value:
        """The number at this offset before the first step."""
        return load(self._emitter, self.view, [self._wrapped(offset)])

    def at(self, offset: int) -> View:
        """The row at this offset; of a number, a view without axes."""
        return row(self._emitter, self.view, self._emitter.builder.load(self._places[offset]))

    def advance(self) -> None:
        """Go on to the next step."""
        builder = self._emitter.builder
        for place in self._places.values():
            builder.store(following(self._emitter, builder.load(place), self.view.shape[0]), place)


def following(emitter: Emitter, place: ir.Value, length: ir.Value) -> ir.Value:
    """The place after this one in an array of some length: after the last one the first."""
    after = emitter.builder.add(place, ONE)
    return emitter.builder.select(emitter.builder.icmp_unsigned(">=", after, length), ZERO, after)


def with_short_rows(emitter: Emitter, view: View, static: Sequence[int | None]) -> View:
    """The same array, short lengths of its rows as constants where its type tells them."""
    return view._replace(shape=[view.shape[0], *short_lengths(emitter, view.shape[1:], static[1:])])


def row(emitter: Emitter, view: View, index: ir.Value) -> View:
    """One row of an array."""
    ndim = len(view.shape) - 1
    kind = view.kind.copy(ndim=ndim, layout="C" if view.kind.layout == "C" or ndim == 0 else "A")
    return View(kind, pointer(emitter, view, [index, *[ZERO] * ndim]), view.shape[1:], view.strides[1:])


def read_row(emitter: Emitter, view: View) -> Value:
    """A row as a step reads it: where it lies, but numbers in a register."""
    if view.shape:
        return Value(view.kind, array_at(emitter, view))
    return boxed(emitter, view.kind.dtype, load(emitter, view, []))


def write_row(emitter: Emitter, view: View, given: Value) -> None:
    """Write what a step gives into a row: a number, or an array of the row's shape."""
    if view.shape:
        source = Axes(view_of(emitter, *given), (False,) * len(view.shape))
        fill(emitter, source, view, message=_CHANGED)
    else:
        kind, number = scalar(emitter, *given)
        store(emitter, view, [], emitter.context.cast(emitter.builder, number, kind, view.kind.dtype))


def boxed(emitter: Emitter, kind: types.Type, number: ir.Value) -> Value:
    """A number as an array without axes, which LLVM keeps in a register."""
    array = types.Array(kind, 0, "C")
    value, view = new_array(emitter, array, [])
    store(emitter, view, [], number)
    return Value(array, value)


def newest_last(emitter: Emitter, history: Value, total: ir.Value, *, may_end_early: bool) -> Value:
    """An array after `total` rows were written into it, in turn from its beginning.

    If it is shorter, the newest rows are brought into order. If it is longer, it is cut if the recursion could end
    early, as PyTensor does; else the rest is zeros.
    """
    builder, view = emitter.builder, view_of(emitter, *history)
    result = cgutils.alloca_once_value(builder, history.value)
    length = view.shape[0]
    is_shorter = builder.and_(builder.icmp_signed("<", ONE, length), builder.icmp_signed("<", length, total))
    with builder.if_then(is_shorter, likely=False):
        first = builder.urem(total, length)
        with builder.if_then(builder.icmp_signed(">", first, ZERO)):
            _rotate(emitter, history, first, result)
    with builder.if_then(builder.icmp_signed(">", length, total), likely=False):
        if may_end_early:
            builder.store(_cut(emitter, history, total), result)
        else:
            _clear(emitter, view, total)
    return Value(history.kind, builder.load(result))


def _rotate(emitter: Emitter, history: Value, first: ir.Value, result: ir.Value) -> None:
    """Put a copy whose first row is this one in the array's place."""
    builder, view = emitter.builder, view_of(emitter, *history)
    copy, target = new_array(emitter._replace(stays=(False,)), history.kind, view.shape)
    n_late = builder.sub(view.shape[0], first)
    for begin, target_begin, count in ((first, ZERO, n_late), (ZERO, n_late, first)):
        source, part = (_part(emitter, *place, count) for place in ((view, begin), (target, target_begin)))
        fill(emitter, Axes(source, (False,) * len(source.shape)), part)
    emitter.context.nrt.decref(builder, history.kind, history.value)
    builder.store(copy, result)


def _part(emitter: Emitter, view: View, begin: ir.Value, count: ir.Value) -> View:
    place = pointer(emitter, view, [begin, *[ZERO] * (len(view.shape) - 1)])
    return view._replace(data=place, shape=[count, *view.shape[1:]])


def _cut(emitter: Emitter, history: Value, total: ir.Value) -> ir.Value:
    view = view_of(emitter, *history)
    part = alias(emitter, history.kind, history, view._replace(shape=[total, *view.shape[1:]]))
    emitter.context.nrt.decref(emitter.builder, history.kind, history.value)
    return part


def _clear(emitter: Emitter, view: View, total: ir.Value) -> None:
    rest = _part(emitter, view, total, emitter.builder.sub(view.shape[0], total))
    zero = emitter.context.get_constant_null(view.kind.dtype)
    with nest(emitter, rest.shape) as indices:
        store(emitter, rest, indices, zero)
