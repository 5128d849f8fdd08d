"""Rows of an array at a vector of integers: taken, set, or added to."""

from collections.abc import Sequence

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

    @property
    def length(self) -> ir.Value:
        """How many indices there are."""
        return self._vector.shape[0]

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


def take(node: Apply) -> Operation | None:
    """Write ``x[index]``: a new array; None if the node is another kind of indexing."""
    if taken_rows(node) is None:
        return None
    kind = array_kind(node.outputs[0].type.dtype, node.outputs[0].type.ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        source, vector = (view_of(emitter, k, v) for k, v in zip(kinds, values, strict=True))
        value, result = new_array(emitter, kind, [vector.shape[0], *source.shape[1:]])
        index, memory = Index(emitter, vector, source.shape[0]), Memory(emitter)
        with nest(emitter, result.shape) as indices:
            row = index.row(memory, indices[0])
            memory.store_new(result, indices, memory.load_given(source, [row, *indices[1:]]))
        index.check()
        return value

    return Operation("take_rows", lambda operands: kind, emit)


def change(node: Apply) -> Operation | None:
    """Write ``x[index] = values`` or ``x[index] += values``; None if the node is another kind of indexing."""
    parts = changed_rows(node)
    if parts is None or parts[0].type.dtype == "bool" or getattr(node.op, "ignore_duplicates", False):
        return None
    target, source = parts[0].type, parts[1].type
    copied_kind = array_kind(target.dtype, target.ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        whole = view_of(emitter, kinds[0], values[0])
        if node.op.inplace:
            value = shared(emitter, kinds[0], values[0])
        else:
            value, whole = copy(emitter, whole, copied_kind)
        given = Axes(view_of(emitter, kinds[1], values[1]), source.broadcastable)
        _write(emitter, whole, given, view_of(emitter, kinds[2], values[2]), add=not node.op.set_instead_of_inc)
        return value

    return Operation("change_rows", lambda operands: operands[0] if node.op.inplace else copied_kind, emit)


def _write(emitter: Emitter, whole: View, given: Axes, vector: View, *, add: bool) -> None:
    shape = [vector.shape[0], *whole.shape[1:]]
    n_missing = len(shape) - len(given.broadcasts)
    for axis, broadcasts in enumerate(given.broadcasts):
        if not broadcasts:
            differs = emitter.builder.icmp_unsigned("!=", given.view.shape[axis], shape[n_missing + axis])
            emitter.fail_if(differs, ValueError, _MISFIT)
    index = Index(emitter, vector, whole.shape[0])
    if add and isinstance(whole.kind.dtype, types.Float) and whole.kind.ndim == 1:
        builder = emitter.builder
        is_crowded = builder.icmp_signed(">", vector.shape[0], builder.mul(whole.shape[0], WORD(_CROWDED)))
        with builder.if_else(is_crowded) as (crowded, sparse):
            with crowded:
                _add_in_turns(emitter, whole, given, index)
            with sparse:
                _write_each(emitter, whole, given, (index, shape, add))
    else:
        _write_each(emitter, whole, given, (index, shape, add))
    index.check()


def _write_each(emitter: Emitter, whole: View, given: Axes, plan: tuple) -> None:
    index, shape, add = plan
    n_missing = len(shape) - len(given.broadcasts)
    plus = emitter.builder.fadd if isinstance(whole.kind.dtype, types.Float) else emitter.builder.add
    memory = Memory(emitter)
    with nest(emitter, shape) as indices:
        value = load(emitter, given.view, at(given, indices[n_missing:]))
        value = emitter.context.cast(emitter.builder, value, given.view.kind.dtype, whole.kind.dtype)
        place = [index.row(memory, indices[0]), *indices[1:]]
        if add:
            value = plus(load(emitter, whole, place), value)
        store(emitter, whole, place, value)


def _add_in_turns(emitter: Emitter, whole: View, given: Axes, index: Index) -> None:
    """Add many values to few places: each has several sums that take turns, so that no addition waits for the last."""
    builder = emitter.builder
    zero = emitter.context.get_constant(whole.kind.dtype, 0.0)
    value, sums = new_array(emitter, types.Array(whole.kind.dtype, 2, "C"), [whole.shape[0], WORD(_TURNS)])
    memory = Memory(emitter)
    with nest(emitter, sums.shape) as indices:
        memory.store_new(sums, indices, zero)
    with nest(emitter, [index.length]) as (position,):
        added = memory.load_given(given.view, at(given, [position][: len(given.broadcasts)]))
        added = emitter.context.cast(builder, added, given.view.kind.dtype, whole.kind.dtype)
        place = [index.row(memory, position), builder.and_(position, WORD(_TURNS - 1))]
        memory.store_new(sums, place, builder.fadd(memory.load_new(sums, place), added))
    with nest(emitter, whole.shape) as (row,):
        total = load(emitter, whole, [row])
        for turn in range(_TURNS):
            total = builder.fadd(total, memory.load_new(sums, [row, WORD(turn)]))
        store(emitter, whole, [row], total)
    emitter.context.nrt.decref(builder, types.Array(whole.kind.dtype, 2, "C"), value)
