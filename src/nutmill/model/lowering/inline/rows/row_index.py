"""Arrays of integers that name rows: looked through before the loop that reads them, or as it goes."""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import ZERO, Emitter, View, load, new_array, store
from nutmill.model.lowering.inline.loops import Memory, nest

_OUT_OF_RANGE = "an index in the model is out of range"


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
        emitter.fail_if(nothing, IndexError, _OUT_OF_RANGE)
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
            self._emitter.context.nrt.decref(self._emitter.builder, kind, self._emitter.builder.load(self._copy))
        else:
            self._fail_if_bad()

    def _fail_if_bad(self) -> None:
        self._emitter.fail_if(self._emitter.builder.load(self._is_bad), IndexError, _OUT_OF_RANGE)

    def _checked(self, given: ir.Value) -> ir.Value:
        builder = self._emitter.builder
        index = self._emitter.context.cast(builder, given, self._given.kind.dtype, types.int64)
        index = builder.select(builder.icmp_signed("<", index, ZERO), builder.add(index, self._n_rows), index)
        is_bad = builder.icmp_unsigned(">=", index, self._n_rows)
        builder.store(builder.or_(builder.load(self._is_bad), is_bad), self._is_bad)
        return builder.select(is_bad, ZERO, index)

    def _looked_through(self) -> View:
        """The same rows counted from the first: as they are given, or a copy if one of them counts from the end."""
        builder, given = self._emitter.builder, self._given
        kind = given.kind.copy(layout="C", readonly=False)
        struct = self._emitter.context.get_value_type(kind)
        self._copy = cgutils.alloca_once(builder, struct)
        builder.store(ir.Constant(struct, None), self._copy)
        data = cgutils.alloca_once_value(builder, given.data)
        strides = [cgutils.alloca_once_value(builder, stride) for stride in given.strides]
        with builder.if_then(self._has_other_than_plain(), likely=False):
            with nest(self._emitter, given.shape) as indices:
                self._checked(load(self._emitter, given, indices))
            self._fail_if_bad()
            value, copied = new_array(self._emitter._replace(stays=(False,)), kind, given.shape)
            with nest(self._emitter, given.shape) as indices:
                store(self._emitter, copied, indices, self._checked(load(self._emitter, given, indices)))
            builder.store(value, self._copy)
            builder.store(copied.data, data)
            for register, stride in zip(strides, copied.strides, strict=True):
                builder.store(stride, register)
        dense = given.kind.layout == "C"
        found = given.strides if dense else [builder.load(register) for register in strides]
        return View(given.kind, builder.load(data), given.shape, found)

    def _has_other_than_plain(self) -> ir.Value:
        """Whether an index is negative or out of range."""
        builder, given = self._emitter.builder, self._given
        found = cgutils.alloca_once_value(builder, cgutils.false_bit)
        with nest(self._emitter, given.shape) as indices:
            is_other = builder.icmp_unsigned(">=", load(self._emitter, given, indices), self._n_rows)
            builder.store(builder.or_(builder.load(found), is_other), found)
        return builder.load(found)
