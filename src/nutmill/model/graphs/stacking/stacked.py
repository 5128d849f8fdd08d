"""Writes the groups of a graph's items as operations on arrays, one member of a group beside the other."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import apply_ancestors
from pytensor.scalar.basic import ScalarType
from pytensor.tensor.basic import MakeVector
from pytensor.tensor.elemwise import CAReduce, DimShuffle

from nutmill.model.graphs.graph import OWN
from nutmill.model.graphs.patterns import reduced_axes
from nutmill.model.graphs.stacking.alike import Groups
from nutmill.model.graphs.stacking.items import CONSTANT, OPAQUE, PART, ROOT, SUM, Item, Items, held

# Graphs of fewer operations are compiled in a few seconds as they are.
LARGE = 1000
# So many alike are worth an array.
_SOME = 4


def stacked(outputs: Sequence[Variable], is_open: Callable[[Variable], bool], *, large: int = LARGE) -> list[Variable]:
    """Compute what is alike together, if a graph is large and at least halves; values are equal up to rounding.

    Parameters
    ----------
    outputs
        The graph.
    is_open
        Whether a constant is data that may be replaced: its length says nothing then.
    large
        From so many operations on.
    """
    outputs = list(outputs)
    if n_operations(outputs) < large:
        return outputs
    items = Items(outputs, is_open)
    groups = Groups(items.items, items.outputs)
    computed = [group for group in groups.in_order if groups.items[group[0]].kind not in (ROOT, CONSTANT)]
    if groups.n_computed < large or not 2 * len(computed) < groups.n_computed:
        return outputs
    built = _Builder(groups).build(items.outputs)
    built = [new if new.type == old.type else new.astype(old.dtype) for new, old in zip(built, outputs, strict=True)]
    return built if 2 * n_operations(built) < groups.n_computed else outputs


def n_operations(outputs: Sequence[Variable]) -> int:
    """Count what a graph computes."""
    return len(list(apply_ancestors(outputs)))


class _Place(NamedTuple):
    """Where an item lies: the array of its group, and its position there."""

    array: int
    position: int


class _Builder:
    def __init__(self, groups: Groups):
        self._groups = groups
        self._items = groups.items
        self._single: dict[int, Variable] = {}
        self._places: dict[int, _Place] = {}
        self._arrays: list[Variable] = []
        self._lengths: list[int] = []
        self._joined: dict[tuple[int, ...], Variable] = {}
        self._copies: dict[object, list[Variable]] = {}

    def build(self, outputs: Sequence[int]) -> list[Variable]:
        """Write everything; returns the outputs."""
        for numbers in self._groups.in_order:
            if len(numbers) < _SOME:
                for number in numbers:
                    self._single[number] = self._alone(number)
            else:
                self._keep(numbers, self._together(numbers))
        return [self._variable(number) for number in outputs]

    def _keep(self, numbers: Sequence[int], array: Variable) -> int:
        for position, number in enumerate(numbers):
            self._places[number] = _Place(len(self._arrays), position)
        self._arrays.append(array)
        self._lengths.append(len(numbers))
        return len(self._arrays) - 1

    def _variable(self, number: int) -> Variable:
        """An item by itself."""
        if number not in self._single:
            place = self._places[number]
            self._single[number] = self._arrays[place.array][place.position]
        return self._single[number]

    def _alone(self, number: int) -> Variable:
        item, member = self._items[number], self._groups.members[number]
        if item.kind == ROOT:
            return item.what
        if item.kind == CONSTANT:
            return _constant(item)
        if item.kind == SUM:
            return self._sum(item.args)
        operands = [self._variable(operand) for operand in member.operands]
        if item.kind == OPAQUE:
            return self._copied(item, operands)
        if item.kind == PART:
            return operands[0][item.what]
        if item.is_elementwise:
            return _evaluated(member.expression, operands, 0)
        return item.what(*operands)

    def _copied(self, item: Item, operands: Sequence[Variable]) -> Variable:
        node, place = item.what
        if node not in self._copies:
            pairs = zip(operands, node.inputs, strict=True)
            inputs = [pt.scalar_from_tensor(new) if _is_boxed(new, old) else new for new, old in pairs]
            self._copies[node] = node.clone_with_new_inputs(inputs, strict=False).outputs
        return self._copies[node][place]

    def _together(self, numbers: Sequence[int]) -> Variable:
        """Write a group: an array whose first axis runs over its members."""
        item, members = self._items[numbers[0]], [self._groups.members[number] for number in numbers]
        if item.kind == SUM:
            return self._sums([member.operands for member in members], item.dtype)
        columns = list(zip(*(member.operands for member in members), strict=True))
        if item.kind == PART:
            return self._parts(numbers, columns[0])
        if item.is_elementwise:
            operands = [self._operand(column) for column in columns]
            return _evaluated(members[0].expression, operands, 1 + len(item.shape))
        if isinstance(item.what, MakeVector):
            return pt.join(1, *(pt.expand_dims(self._operand(column, spread=True), 1) for column in columns))
        return _applied_to_rows(item.what, self._operand(columns[0]))

    def _parts(self, numbers: Sequence[int], sources: Sequence[int]) -> Variable:
        entries = [self._items[number].what for number in numbers]
        if not all(isinstance(entry, int) for entry in entries[0]):
            return self._operand(sources)[(slice(None), *entries[0])]
        index = [_data(np.array(column)) for column in zip(*entries, strict=True)]
        if len(set(sources)) == 1:
            return self._variable(sources[0])[tuple(index)]
        array, rows = self._rows(sources)
        return array[(_data(np.arange(len(sources)) if rows is None else rows), *index)]

    def _operand(self, column: Sequence[int], *, spread: bool = False) -> Variable:
        """Items below each other; one row if all are the same, unless it is to be spread."""
        if len(set(column)) == 1 and not spread:
            return pt.expand_dims(self._variable(column[0]), 0)
        if all(self._items[number].kind == CONSTANT for number in column):
            return _data(np.stack([held(self._items[number]) for number in column]))
        array, rows = self._rows(column)
        return array if rows is None else array[_data(rows)]

    def _rows(self, column: Sequence[int]) -> tuple[Variable, np.ndarray | None]:
        """An array, and the rows of it in which items lie; None if they are all its rows in order."""
        alone = tuple(dict.fromkeys(number for number in column if number not in self._places))
        if alone:
            self._keep(alone, pt.stack([self._variable(number) for number in alone]))
        used = tuple(sorted({self._places[number].array for number in column}))
        begins = dict(zip(used, np.cumsum([0, *(self._lengths[array] for array in used)]), strict=False))
        rows = np.array([begins[self._places[number].array] + self._places[number].position for number in column])
        if len(used) == 1:
            array = self._arrays[used[0]]
        else:
            if used not in self._joined:
                self._joined[used] = pt.join(0, *(self._arrays[number] for number in used))
            array = self._joined[used]
        is_all = len(rows) == sum(self._lengths[number] for number in used) and (rows == np.arange(len(rows))).all()
        return array, None if is_all else rows

    def _sum(self, terms: Sequence[int]) -> Variable:
        """Add terms: those of one array at once, and what is there several times as a product."""
        found: dict[int | None, Counter] = {}
        for term in terms:
            place = self._places.get(term)
            found.setdefault(place and place.array, Counter())[term] += 1
        alone = found.pop(None, Counter())
        parts = [_times(self._variable(term), count) for term, count in alone.items()]
        for counts in found.values():
            array, rows = self._rows(list(counts))
            array = array if rows is None else array[_data(rows)]
            times = np.array(list(counts.values()), array.dtype)
            parts.append(pt.sum(array if (times == 1).all() else array * _data(times)))
        return parts[0] if len(parts) == 1 else pt.add(*parts)

    def _sums(self, columns: Sequence[Sequence[int]], dtype: str) -> Variable:
        """Add the terms of each of several sums, in their order."""
        array, rows = self._rows([term for column in columns for term in column])
        which = np.repeat(np.arange(len(columns)), [len(column) for column in columns])
        nothing = _data(np.zeros(len(columns), dtype))
        return pt.inc_subtensor(nothing[_data(which)], array if rows is None else array[_data(rows)])


def _evaluated(expression: Any, operands: Sequence[Variable], ndim: int) -> Variable:
    """Apply operations to operands; constants get the operands' axes."""
    if isinstance(expression, int):
        return operands[expression]
    if isinstance(expression, Item):
        constant = _constant(expression)
        return pt.shape_padleft(constant, ndim - constant.type.ndim) if ndim > constant.type.ndim else constant
    op, parts = expression
    return op(*(_evaluated(part, operands, ndim) for part in parts))


def _applied_to_rows(op: CAReduce | DimShuffle, array: Variable) -> Variable:
    if isinstance(op, DimShuffle):
        return array.dimshuffle(0, *(axis if axis == "x" else axis + 1 for axis in op.new_order))
    axes = reduced_axes(op, array.type.ndim - 1)
    return op.clone(axis=tuple(axis + 1 for axis in axes))(array)


def _constant(item: Item) -> Constant:
    return item.what if isinstance(item.what, Constant) else pt.constant(item.what)


def _times(term: Variable, count: int) -> Variable:
    return term if count == 1 else term * np.array(count, term.dtype)


def _data(values: np.ndarray) -> Constant:
    """A constant that is as much a matter of the model as its operations are."""
    constant = pt.constant(values)
    setattr(constant.tag, OWN, True)
    return constant


def _is_boxed(new: Variable, old: Variable) -> bool:
    return isinstance(old.type, ScalarType) and not isinstance(new.type, ScalarType)
