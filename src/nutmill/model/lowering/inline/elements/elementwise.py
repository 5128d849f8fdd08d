"""Elementwise loops: operands read as they lie or by an index of rows, results kept, worked in place, or reduced."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from llvmlite import ir
from numba import types
from pytensor.graph.basic import Apply
from pytensor.scalar.basic import Add

from nutmill.model.lowering.inline.arrays import (
    LENGTHS_DIFFER,
    ONE,
    WORD,
    Emitter,
    Value,
    View,
    array_kind,
    new_array,
    shared,
    store,
    view_of,
)
from nutmill.model.lowering.inline.elements.reducers import LogProduct, Reducer
from nutmill.model.lowering.inline.elements.scalar_operations import Scalar
from nutmill.model.lowering.inline.filling import copy
from nutmill.model.lowering.inline.loops import (
    Axes,
    Memory,
    at,
    common_shape,
    flattened,
    lower_triangle,
    nest,
    short_lengths,
)
from nutmill.model.lowering.inline.operation import Operation, kind_of_results, one_or_several
from nutmill.model.lowering.inline.rows.row_index import RowIndex
from nutmill.model.rewriting.fusion import FusedLoop, Reduced, Stored

_NOTHING: Mapping = {}


def elementwise(node: Apply) -> Operation:
    """Write an `Elemwise` node: a loop that keeps all of its results."""
    in_place = node.op.inplace_pattern
    results = [Stored(number, in_place.get(number)) for number in range(len(node.outputs))]
    return _operation(FusedLoop(node.op.scalar_op, [None] * len(node.inputs), results), node)


def fused_loop(node: Apply) -> Operation:
    """Write a `FusedLoop` node."""
    return _operation(node.op, node)


def _operation(op: FusedLoop, node: Apply) -> Operation:
    loop = _Loop(op, node)
    return Operation(loop.result, loop.emit)


@dataclass(frozen=True)
class _Operand:
    """What the loop reads: an array, which of its axes broadcast, and the index of its rows if it has one.

    Where the loop works in place on the array, `place` is the number of that.
    """

    axes: Axes
    index: RowIndex | None
    place: int | None


class _Result(NamedTuple):
    """What the loop gives: an array that is written element by element, or a register."""

    value: ir.Value | None
    view: View | None
    register: ir.Value | None


class _Loop:
    def __init__(self, op: FusedLoop, node: Apply):
        n_operands = len(op.indices)
        self._op = op
        self._kinds = [array_kind(v.type.dtype, v.type.ndim) for v in node.outputs]
        self._static = _static_shape([v.type.shape for v in node.inputs[:n_operands]], op.indices)
        stored = {number: r.in_place_of for number, r in enumerate(op.results) if isinstance(r, Stored)}
        self._in_place_of = {number: position for number, position in stored.items() if position is not None}
        worked = [node.inputs[position] for position in self._in_place_of.values()]
        self._place_of = {number: worked.index(node.inputs[p]) for number, p in self._in_place_of.items()}
        self._places = [worked.index(v) if v in worked else None for v in node.inputs[:n_operands]]
        self._scalar = Scalar(op.scalar_op, [v.type.dtype for v in node.inputs[:n_operands]])
        # Read by an index, an array has as many rows as the index.
        self._broadcasts = [
            v.type.broadcastable if index is None else (False, *v.type.broadcastable[1:])
            for v, index in zip(node.inputs, op.indices, strict=False)
        ]
        self._reducers = {
            number: Reducer(result.reduction, self._scalar.dtypes[result.output], variable.type.dtype)
            for number, (result, variable) in enumerate(zip(op.results, node.outputs, strict=True))
            if isinstance(result, Reduced)
        }
        # Sums of logarithms of widths, which few elements take by way of a product.
        self._log_sums = {
            number: result.output
            for number, result in enumerate(op.results)
            if result.output in self._scalar.log_widths and _is_summed(op.results, result.output)
        }

    def result(self, operands: Sequence[types.Type]) -> types.Type:
        """Type of the result, or a tuple of those of all results."""
        return kind_of_results(self._result_kinds(operands))

    def emit(self, emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        """Write the loop."""
        views = [view_of(emitter, kind, value) for kind, value in zip(kinds, values, strict=True)]
        operands, shape = self._operands(emitter, views)
        operands, copies = _dense(emitter, operands) if self._op.triangle else (operands, [])
        result_kinds = self._result_kinds(kinds)
        results = [
            self._begin(emitter, number, (kind, shape), (views, values)) for number, kind in enumerate(result_kinds)
        ]
        if self._log_sums:
            with emitter.builder.if_else(_are_few(emitter, shape)) as (few, many):
                with few:
                    self._write(emitter, operands, results, shape, self._log_sums)
                with many:
                    self._write(emitter, operands, results, shape)
        else:
            self._write(emitter, operands, results, shape)
        for operand in operands:
            if operand.index is not None:
                operand.index.end()
        for copied in copies:
            emitter.context.nrt.decref(emitter.builder, copied.kind, copied.value)
        given = [self._end(emitter, number, result) for number, result in enumerate(results)]
        return one_or_several(given)

    def _result_kinds(self, operands: Sequence[types.Type]) -> list[types.Type]:
        kinds = list(self._kinds)
        for number, position in self._in_place_of.items():
            kinds[number] = operands[position]
        return kinds

    def _operands(self, emitter: Emitter, views: Sequence[View]) -> tuple[list[_Operand], list[ir.Value]]:
        """What is read, and the shape of the loop: an index gives an array as many rows as it has itself."""
        operands, seen = [], []
        given = zip(views[: len(self._places)], self._op.indices, self._broadcasts, self._places, strict=True)
        for view, position, broadcasts, place in given:
            index, shape = None, view.shape
            if position is not None:
                index = RowIndex(emitter, views[position], view.shape[0])
                shape = [views[position].shape[0], *view.shape[1:]]
            operands.append(_Operand(Axes(view, broadcasts), index, place))
            seen.append(Axes(view._replace(shape=shape), broadcasts))
        return operands, short_lengths(emitter, common_shape(emitter, seen, LENGTHS_DIFFER), self._static)

    def _begin(self, emitter: Emitter, number: int, array: tuple, given: tuple) -> _Result:
        """Make the array or the register of one result."""
        (kind, shape), (views, values) = array, given
        if number in self._reducers:
            return _Result(None, None, self._reducers[number].begin(emitter))
        source = self._in_place_of.get(number)
        if source is None:
            return _Result(*new_array(emitter, kind, shape, number), None)
        return _Result(shared(emitter, kind, values[source]), views[source], None)

    def _end(self, emitter: Emitter, number: int, result: _Result) -> ir.Value:
        if result.register is None:
            return result.value
        value, view = new_array(emitter, self._kinds[number], [], number)
        store(emitter, view, [], self._reducers[number].end(emitter, result.register))
        return value

    def _write(
        self, emitter: Emitter, operands: list[_Operand], results: list[_Result], shape, log_sums: Mapping = _NOTHING
    ) -> None:
        if not self._op.triangle:
            operands, results, shape = _flat(emitter, operands, results, shape)
        memory = Memory(emitter, len(self._place_of), is_loop=len(shape) > 0)
        fixed = {
            i: _read(memory, operand, [None] * len(shape))
            for i, operand in enumerate(operands)
            if operand.axes.is_constant
        }
        products = {number: LogProduct(emitter) for number in log_sums}
        with lower_triangle(emitter, shape) if self._op.triangle else nest(emitter, shape) as indices:
            loaded = [fixed[i] if i in fixed else _read(memory, operand, indices) for i, operand in enumerate(operands)]
            computed = self._scalar.emit(emitter, loaded, set(log_sums.values()))
            for number, (result, wanted) in enumerate(zip(results, self._op.results, strict=True)):
                value = computed[wanted.output]
                if number in products:
                    products[number].take(emitter, value, self._scalar.dtypes[wanted.output])
                elif result.view is None:
                    self._reducers[number].take(emitter, result.register, self._counted(emitter, indices, value))
                elif number in self._place_of:
                    memory.store_place(self._place_of[number], result.view, indices, value)
                else:
                    memory.store_new(result.view, indices, value)
        for number, product in products.items():
            total = product.end(emitter, self._scalar.dtypes[log_sums[number]])
            self._reducers[number].take(emitter, results[number].register, total)

    def _counted(self, emitter: Emitter, indices: Sequence[ir.Value], value: ir.Value) -> ir.Value:
        """A value that is summed; of a triangle nothing above the diagonal."""
        if not self._op.triangle:
            return value
        row, column = indices
        is_below = emitter.builder.icmp_signed("<=", column, row)
        return emitter.builder.select(is_below, value, ir.Constant(value.type, 0))


def _dense(emitter: Emitter, operands: list[_Operand]) -> tuple[list[_Operand], list[Value]]:
    """The same operands, but rows that all rows of the loop read are copied where they have gaps."""
    found, copies = [], []
    for operand in operands:
        view, broadcasts = operand.axes
        if tuple(broadcasts) == (True, False) and view.kind.layout != "C":
            kind = view.kind.copy(layout="C", readonly=False)
            value, view = copy(emitter, view, kind)
            copies.append(Value(kind, value))
        found.append(replace(operand, axes=Axes(view, broadcasts)))
    return found, copies


def _is_summed(results: Sequence[Stored | Reduced], output: int) -> bool:
    """Whether all that becomes of an output is its sum."""
    return all(
        isinstance(result, Reduced) and isinstance(result.reduction.scalar_op, Add)
        for result in results
        if result.output == output
    )


def _are_few(emitter: Emitter, shape: Sequence[ir.Value]) -> ir.Value:
    """Whether a loop is so short that products of mantissas stay numbers."""
    size = functools.reduce(emitter.builder.mul, shape, ONE)
    return emitter.builder.icmp_unsigned("<=", size, WORD(LogProduct.LONGEST))


def _static_shape(shapes: Sequence[Sequence[int | None]], indices: Sequence[int | None]) -> list[int | None]:
    """Lengths of the loop that the types of the operands tell; an operand's rows are those of its index."""
    static: list[int | None] = [None] * len(shapes[0])
    for shape, index in zip(shapes, indices, strict=True):
        for axis, length in enumerate(shape):
            if length not in (None, 1) and (axis > 0 or index is None):
                static[axis] = length
    return static


def _read(memory: Memory, operand: _Operand, indices: Sequence[ir.Value]) -> ir.Value:
    place = at(operand.axes, indices)
    if operand.index is not None:
        place[0] = operand.index.row(memory, indices[0])
    if operand.place is not None:
        return memory.load_place(operand.place, operand.axes.view, place)
    return memory.load_given(operand.axes.view, place)


def _flat(emitter: Emitter, operands: list[_Operand], results: list[_Result], shape: list[ir.Value]):
    """The same loop over one axis, if all arrays lie in its order."""
    stored = [Axes(result.view, (False,) * len(shape)) for result in results if result.view is not None]
    if any(operand.index for operand in operands):
        return operands, results, shape
    flat = flattened(emitter, [*(operand.axes for operand in operands), *stored], shape)
    if flat is None:
        return operands, results, shape
    axes, shape = flat
    views = iter(axes[len(operands) :])
    results = [result if result.view is None else result._replace(view=next(views).view) for result in results]
    operands = [replace(operand, axes=each) for operand, each in zip(operands, axes, strict=False)]
    return operands, results, shape
