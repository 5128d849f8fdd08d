"""Arrays of integers that name rows: they are checked before the loop that reads them, or while it runs."""

from collections.abc import Sequence
from functools import partial

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.errors import INDEX_OUT_OF_RANGE
from nutmill.model.lowering.inline.arrays import (
    ZERO,
    Emitter,
    Value,
    View,
    contiguous_strides,
    from_front,
    load,
    new_array,
    store,
    view_of,
)
from nutmill.model.lowering.inline.loops import Memory, nest
from nutmill.model.lowering.inline.own_functions import call_own


class RowIndex:
    """An array of integers into one axis of another; negative ones count from the end.

    Those of 64 bits are looked through first: a loop then reads them one by one as addresses, where a vector of them
    would be checked and taken apart again, at twice the time. Others are checked as they are read; one out of range
    reads the first row instead, which does not stop a loop from being vectorised, and `end` tells after the loop.
    """

    def __init__(self, emitter: Emitter, given: View, n_rows: ir.Value):
        self._emitter, self._given, self._n_rows = emitter, given, n_rows
        self._is_bad = cgutils.alloca_once(emitter.builder, ir.IntType(1))
        self._copy: ir.Value | None = None
        builder = emitter.builder
        builder.store(cgutils.false_bit, self._is_bad)
        # With no row at all there is no first one to read instead.
        nothing = builder.icmp_signed("==", n_rows, ZERO)
        for length in given.shape:
            nothing = builder.and_(nothing, builder.icmp_signed(">", length, ZERO))
        emitter.fail_if(nothing, IndexError, INDEX_OUT_OF_RANGE)
        if given.kind.dtype == types.int64 and given.shape:
            self._given = self._looked_through()

    def row(self, memory: Memory, *position: ir.Value) -> ir.Value:
        """The row that the element at `position` names."""
        given = memory.load_given(self._given, position)
        return given if self._copy else self._checked(given)

    def end(self) -> None:
        """After the loop: leave with IndexError if one of the indices was out of range."""
        if self._copy:
            kind = self._given.kind.copy(layout="C")
            self._emitter.context.nrt.decref(self._emitter.builder, kind, self._copy)
        else:
            self._emitter.fail_if(self._emitter.builder.load(self._is_bad), IndexError, INDEX_OUT_OF_RANGE)

    def _checked(self, given: ir.Value) -> ir.Value:
        index = self._emitter.context.cast(self._emitter.builder, given, self._given.kind.dtype, types.int64)
        return _from_first(self._emitter, index, self._n_rows, self._is_bad)

    def _looked_through(self) -> View:
        """The same rows counted from the first: as they are given, or a copy if one of them counts from the end.

        A model looks through many arrays, and one function serves all of a kind: LLVM has its loops to itself once.
        """
        builder, given = self._emitter.builder, self._given
        kind = types.Array(given.kind.dtype, given.kind.ndim, "C")
        words = [Value(types.int64, word) for word in (*given.shape, *given.strides, self._n_rows)]
        data = Value(types.voidptr, builder.bitcast(given.data, cgutils.voidptr_t))
        write = partial(_write_look, given.kind, kind)
        value = call_own(self._emitter, f"look through {given.kind}", kind, [data, *words], write)
        self._copy = value
        copied = view_of(self._emitter, kind, value)
        is_given = cgutils.is_null(builder, copied.data)
        rows = given._replace(data=builder.select(is_given, given.data, copied.data))
        if given.kind.layout == "C":
            return rows
        dense = contiguous_strides(self._emitter, kind, given.shape)
        strides = [builder.select(is_given, *both) for both in zip(given.strides, dense, strict=True)]
        return rows._replace(strides=strides)


def _from_first(emitter: Emitter, index: ir.Value, n_rows: ir.Value, is_bad: ir.Value) -> ir.Value:
    """An index counted from the first row; one out of range is the first, and noted in `is_bad`."""
    builder = emitter.builder
    index = from_front(emitter, index, n_rows)
    is_out = builder.icmp_unsigned(">=", index, n_rows)
    builder.store(builder.or_(builder.load(is_bad), is_out), is_bad)
    return builder.select(is_out, ZERO, index)


def _write_look(source: types.Array, kind: types.Array, emitter: Emitter, given: Sequence[ir.Value]) -> None:
    """Write what looks through an array, given by its place, lengths and strides, and gives a copy or null."""
    builder, convention = emitter.builder, emitter.context.call_conv
    place, *words, n_rows = given
    data = builder.bitcast(place, emitter.context.get_data_type(source.dtype).as_pointer())
    shape, strides = words[: source.ndim], words[source.ndim :]
    if source.layout == "C":
        strides = contiguous_strides(emitter, source, shape)
    view = View(source, data, shape, strides)
    with builder.if_then(_has_other_than_plain(emitter, view, n_rows), likely=False):
        is_bad = cgutils.alloca_once_value(builder, cgutils.false_bit)
        with nest(emitter, shape) as indices:
            _from_first(emitter, load(emitter, view, indices), n_rows, is_bad)
        emitter.fail_if(builder.load(is_bad), IndexError, INDEX_OUT_OF_RANGE)
        value, copied = new_array(emitter, kind, shape)
        with nest(emitter, shape) as indices:
            store(emitter, copied, indices, _from_first(emitter, load(emitter, view, indices), n_rows, is_bad))
        convention.return_value(builder, value)
    convention.return_value(builder, emitter.context.get_constant_null(kind))


def _has_other_than_plain(emitter: Emitter, given: View, n_rows: ir.Value) -> ir.Value:
    """Whether an index is negative or out of range."""
    builder = emitter.builder
    found = cgutils.alloca_once_value(builder, cgutils.false_bit)
    with nest(emitter, given.shape) as indices:
        is_other = builder.icmp_unsigned(">=", load(emitter, given, indices), n_rows)
        builder.store(builder.or_(builder.load(found), is_other), found)
    return builder.load(found)
