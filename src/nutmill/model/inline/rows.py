"""Elements or rows of an array at vectors of integers: taken, set, or added to."""

from collections.abc import Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply

from nutmill.model.compat import changed_rows, taken_rows
from nutmill.model.inline.arrays import WORD, ZERO, Emitter, View, array_kind, load, new_array, shared, store, view_of
from nutmill.model.inline.filling import copy
from nutmill.model.inline.loops import Axes, Memory, at, nest
from nutmill.model.inline.operation import Operation

# With more than so many values for each place, sums take turns: a power of two of them.
_CROWDED, _TURNS = 8, 4

_OUT_OF_RANGE = "an index in the model is out of range"
_MISFIT = "an array of the model does not fit the rows of another one that it should go to"


class Index:
    """A vector of integers into the rows of an array; negative ones count from the end.

    An index out of range reads the first row instead, which does not stop a loop from being vectorised; `check` tells
    after the loop.
    """

    def __init__(self, emitter: Emitter, vector: View, n_rows: ir.Value):
        self._emitter, self._vector, self._n_rows = emitter, vector, n_rows
        self._is_bad = cgutils.alloca_once_value(emitter.builder, ir.IntType(1)(0))
        # With no row at all there is no first one to read instead.
        builder = emitter.builder
        nothing = builder.and_(builder.icmp_signed("==", n_rows, ZERO), builder.icmp_signed(">", vector.shape[0], ZERO))
        emitter.fail_if(nothing, IndexError, _OUT_OF_RANGE)

    def row(self, memory: Memory, position: ir.Value) -> ir.Value:
        """The row that element `position` of the vector names."""
        builder = self._emitter.builder
        kind = self._vector.kind.dtype
        given = memory.load_given(self._vector, [position])
        index = self._emitter.context.cast(builder, given, kind, types.int64)
        index = builder.select(builder.icmp_signed("<", index, ZERO), builder.add(index, self._n_rows), index)
        is_bad = builder.icmp_unsigned(">=", index, self._n_rows)
        builder.store(builder.or_(builder.load(self._is_bad), is_bad), self._is_bad)
        return builder.select(is_bad, ZERO, index)

    def check(self) -> None:
        """Leave with IndexError if one of the indices was out of range."""
        self._emitter.fail_if(self._emitter.builder.load(self._is_bad), IndexError, _OUT_OF_RANGE)


class Place:
    """Vectors of integers into the first axes of an array, side by side."""

    def __init__(self, emitter: Emitter, vectors: Sequence[View], whole: View):
        self.length = vectors[0].shape[0]
        for vector in vectors[1:]:
            differs = emitter.builder.icmp_unsigned("!=", vector.shape[0], self.length)
            emitter.fail_if(differs, IndexError, "vectors of indices in the model have different lengths")
        self._indices = [Index(emitter, vector, n) for vector, n in zip(vectors, whole.shape, strict=False)]
        self.shape = [self.length, *whole.shape[len(vectors) :]]

    def of(self, memory: Memory, indices: Sequence[ir.Value]) -> list[ir.Value]:
        """Where in the array the element at `indices` of what is selected lies."""
        return [*(index.row(memory, indices[0]) for index in self._indices), *indices[1:]]

    def check(self) -> None:
        """Leave with IndexError if one of the indices was out of range."""
        for index in self._indices:
            index.check()


def take(node: Apply) -> Operation | None:
    """Write ``x[i]`` or ``x[i, j]``: a new array; None if the node is another kind of indexing."""
    if taken_rows(node) is None:
        return None
    kind = array_kind(node.outputs[0].type.dtype, node.outputs[0].type.ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        source, *vectors = (view_of(emitter, k, v) for k, v in zip(kinds, values, strict=True))
        place, memory = Place(emitter, vectors, source), Memory(emitter)
        value, result = new_array(emitter, kind, place.shape)
        with nest(emitter, result.shape) as indices:
            memory.store_new(result, indices, memory.load_given(source, place.of(memory, indices)))
        place.check()
        return value

    return Operation(lambda operands: kind, emit)


def change(node: Apply) -> Operation | None:
    """Write ``x[i] = values`` or ``x[i, j] += values``; None if the node is another kind of indexing."""
    parts = changed_rows(node)
    if parts is None or parts[0].type.dtype == "bool" or getattr(node.op, "ignore_duplicates", False):
        return None
    target, source = parts[0].type, parts[1].type
    copied_kind = array_kind(target.dtype, target.ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        whole, given, *vectors = (view_of(emitter, k, v) for k, v in zip(kinds, values, strict=True))
        if node.op.inplace:
            value = shared(emitter, kinds[0], values[0])
        else:
            value, whole = copy(emitter, whole, copied_kind)
        change = _Change(whole, Axes(given, source.broadcastable), Place(emitter, vectors, whole))
        _check_lengths(emitter, change)
        if node.op.set_instead_of_inc:
            _write_each(emitter, change, add=False)
        elif isinstance(whole.kind.dtype, types.Float) and whole.kind.ndim == 1:
            _add(emitter, change)
        else:
            _write_each(emitter, change, add=True)
        change.place.check()
        return value

    return Operation(lambda operands: operands[0] if node.op.inplace else copied_kind, emit)


class _Change(NamedTuple):
    """The array that changes, the values that it takes, and where."""

    whole: View
    given: Axes
    place: Place

    def given_at(self, indices: Sequence[ir.Value]) -> list[ir.Value]:
        """Index of the value that belongs to `indices` of what is selected."""
        return at(self.given, indices[len(indices) - len(self.given.broadcasts) :])


def _check_lengths(emitter: Emitter, change: _Change) -> None:
    n_missing = len(change.place.shape) - len(change.given.broadcasts)
    for axis, broadcasts in enumerate(change.given.broadcasts):
        if not broadcasts:
            length, expected = change.given.view.shape[axis], change.place.shape[n_missing + axis]
            emitter.fail_if(emitter.builder.icmp_unsigned("!=", length, expected), ValueError, _MISFIT)


def _write_each(emitter: Emitter, change: _Change, *, add: bool) -> None:
    whole, memory = change.whole, Memory(emitter)
    plus = emitter.builder.fadd if isinstance(whole.kind.dtype, types.Float) else emitter.builder.add
    with nest(emitter, change.place.shape) as indices:
        value = load(emitter, change.given.view, change.given_at(indices))
        value = emitter.context.cast(emitter.builder, value, change.given.view.kind.dtype, whole.kind.dtype)
        place = change.place.of(memory, indices)
        if add:
            value = plus(load(emitter, whole, place), value)
        store(emitter, whole, place, value)


def _add(emitter: Emitter, change: _Change) -> None:
    builder = emitter.builder
    many = builder.mul(change.whole.shape[0], WORD(_CROWDED))
    with builder.if_else(builder.icmp_signed(">", change.place.length, many)) as (crowded, sparse):
        with crowded:
            _add_in_turns(emitter, change)
        with sparse:
            _write_each(emitter, change, add=True)


def _add_in_turns(emitter: Emitter, change: _Change) -> None:
    """Add many values to few places: each has several sums that take turns, so that no addition waits for the last."""
    builder, whole = emitter.builder, change.whole
    kind = types.Array(whole.kind.dtype, 2, "C")
    value, sums = new_array(emitter, kind, [whole.shape[0], WORD(_TURNS)])
    memory = Memory(emitter)
    with nest(emitter, sums.shape) as indices:
        memory.store_new(sums, indices, emitter.context.get_constant(kind.dtype, 0.0))
    with nest(emitter, change.place.shape) as indices:
        added = memory.load_given(change.given.view, change.given_at(indices))
        added = emitter.context.cast(builder, added, change.given.view.kind.dtype, kind.dtype)
        place = [*change.place.of(memory, indices), builder.and_(indices[0], WORD(_TURNS - 1))]
        memory.store_new(sums, place, builder.fadd(memory.load_new(sums, place), added))
    with nest(emitter, whole.shape) as (row,):
        total = load(emitter, whole, [row])
        for turn in range(_TURNS):
            total = builder.fadd(total, memory.load_new(sums, [row, WORD(turn)]))
        store(emitter, whole, [row], total)
    emitter.context.nrt.decref(builder, kind, value)
