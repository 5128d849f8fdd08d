"""Advanced indices: elements or rows that arrays of integers name are taken, set, or added to."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply

from nutmill.model.compat import advanced_indices
from nutmill.model.lowering.inline.arrays import (
    WORD,
    Emitter,
    View,
    array_kind,
    load,
    new_array,
    shared,
    store,
    view_of,
)
from nutmill.model.lowering.inline.filling import copy
from nutmill.model.lowering.inline.loops import Axes, Memory, at, common_shape, nest, with_leading
from nutmill.model.lowering.inline.operation import Operation
from nutmill.model.lowering.inline.rows.row_index import RowIndex

# With more than so many values for each place, sums take turns: a power of two of them.
_CROWDED, _TURNS = 8, 4

_MISFIT = "an array of the model does not fit the rows of another one that it should go to"


class _RowPlan:
    """Which axes of an array are indexed by which operands, which broadcast, and where the axes of these go."""

    def __init__(self, node: Apply, n_before: int, ndim: int):
        entries = advanced_indices(node)
        self.is_known = entries is not None and all(v is not None for v in entries[-1:])
        by_axis = {axis: entry for axis, entry in enumerate(entries or ()) if entry is not None}
        self.axes = list(by_axis)
        self.whole = [axis for axis in range(ndim) if axis not in self.axes]
        indices = list(by_axis.values())
        self.operands = [node.inputs.index(index, n_before) for index in indices]
        self.ndim = max((index.type.ndim for index in indices), default=0)
        self.broadcasts = [index.type.broadcastable for index in indices]
        side_by_side = self.axes == list(range(self.axes[0], self.axes[0] + len(self.axes))) if self.axes else True
        self.first = self.axes[0] if self.axes and side_by_side else 0


class RowPlace:
    """Arrays of integers into some axes of an array, of which the other axes are taken whole."""

    def __init__(self, emitter: Emitter, plan: _RowPlan, views: Mapping[int, View], whole: View):
        self._plan = plan
        pairs = zip(plan.operands, plan.broadcasts, strict=True)
        self._given = [with_leading(views[operand], own, plan.ndim) for operand, own in pairs]
        self._indices = [
            RowIndex(emitter, given.view, whole.shape[axis]) for given, axis in zip(self._given, plan.axes, strict=True)
        ]
        message = "arrays of indices in the model have different lengths"
        lengths = common_shape(emitter, self._given, message, IndexError)
        kept = [whole.shape[axis] for axis in plan.whole]
        self.shape = [*kept[: plan.first], *lengths, *kept[plan.first :]]

    @property
    def length(self) -> ir.Value:
        """Number of rows that one vector of indices names."""
        return self.shape[self._plan.first]

    def of(self, memory: Memory, indices: Sequence[ir.Value]) -> list[ir.Value]:
        """Where in the array the element at `indices` of what is selected lies."""
        first, ndim = self._plan.first, self._plan.ndim
        position = indices[first : first + ndim]
        where = dict(zip(self._plan.whole, [*indices[:first], *indices[first + ndim :]], strict=True))
        for axis, index, given in zip(self._plan.axes, self._indices, self._given, strict=True):
            where[axis] = index.row(memory, *at(given, position))
        return [where[axis] for axis in sorted(where)]

    def end(self) -> None:
        """Leave with IndexError if one of the indices was out of range."""
        for index in self._indices:
            index.end()


def take(node: Apply) -> Operation | None:
    """Write ``x[i]``, ``x[i, j]`` or ``x[:, i]``: a new array; None if there is more to the indices."""
    plan = _RowPlan(node, 1, node.inputs[0].type.ndim)
    if not plan.is_known:
        return None
    kind = array_kind(node.outputs[0].type.dtype, node.outputs[0].type.ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        views = _views(emitter, kinds, values)
        place, memory = RowPlace(emitter, plan, views, views[0]), Memory(emitter)
        value, result = new_array(emitter, kind, place.shape)
        with nest(emitter, result.shape) as indices:
            memory.store_new(result, indices, memory.load_given(views[0], place.of(memory, indices)))
        place.end()
        return value

    return Operation(lambda operands: kind, emit)


def change(node: Apply) -> Operation | None:
    """Write ``x[i] = values`` or ``x[i, :, j] += values``; None if there is more to the indices."""
    target, source = node.inputs[0].type, node.inputs[1].type
    plan = _RowPlan(node, 2, target.ndim)
    if not plan.is_known or target.dtype == "bool" or getattr(node.op, "ignore_duplicates", False):
        return None
    copied_kind = array_kind(target.dtype, target.ndim)

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        views = _views(emitter, kinds, values)
        whole, given = views[0], views[1]
        if node.op.inplace:
            value = shared(emitter, kinds[0], values[0])
        else:
            value, whole = copy(emitter, whole, copied_kind)
        change = _Change(whole, Axes(given, source.broadcastable), RowPlace(emitter, plan, views, whole))
        _check_lengths(emitter, change)
        if node.op.set_instead_of_inc:
            _write_each(emitter, change, add=False)
        elif isinstance(whole.kind.dtype, types.Float) and whole.kind.ndim == len(change.place.shape) == 1:
            _add(emitter, change)
        else:
            _write_each(emitter, change, add=True)
        change.place.end()
        return value

    return Operation(lambda operands: operands[0] if node.op.inplace else copied_kind, emit)


def _views(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> dict[int, View]:
    """Operands that are arrays, taken apart, by number; slices are not."""
    given = enumerate(zip(kinds, values, strict=True))
    return {number: view_of(emitter, k, v) for number, (k, v) in given if isinstance(k, types.Array)}


class _Change(NamedTuple):
    """The array that changes, the values that it takes, and where."""

    whole: View
    given: Axes
    place: RowPlace

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
