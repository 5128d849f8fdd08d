"""A graph in a light form: equal parts are one, and an element is computed without the array that it was taken from."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import toposort
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import ScalarType
from pytensor.tensor.basic import MakeVector, ScalarFromTensor, TensorFromScalar, switch
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.subtensor import Subtensor
from pytensor.tensor.type import TensorType

from nutmill.model.compat import index_entries
from nutmill.model.graphs.patterns import known_entry, reduced_axes

ROOT, CONSTANT, APPLY, PART, SUM, OPAQUE = "root", "constant", "apply", "part", "sum", "opaque"

# A chain of operations between an element and what it is taken from; longer ones stay as they are.
_LONGEST_WAY = 40


class Item(NamedTuple):
    """A variable of the graph."""

    kind: str
    # The variable of a root or constant; the op that is applied; the entries of the index that takes a part; the node
    # and number of an output of an operation that is opaque.
    what: Any
    args: tuple[int, ...]  # numbers of the items that it is computed from
    dtype: str
    # For each axis its length, 1 where it broadcasts, or something that equals only what is of the same length.
    shape: tuple

    @property
    def is_elementwise(self) -> bool:
        """Whether it is an elementwise operation's result."""
        return self.kind == APPLY and isinstance(self.what, Elemwise)


class Items:
    """The items of a graph, each after those it is computed from.

    `is_open` says whether a constant is data that may be replaced.
    """

    def __init__(self, outputs: Sequence[Variable], is_open: Callable[[Variable], bool]):
        self.items: list[Item] = []
        self._is_open = is_open
        self._numbers: dict[Variable, int] = {}
        self._found: dict[Hashable, int] = {}
        for node in toposort(outputs):
            self._read(node)
        self.outputs = [self._number(variable) for variable in outputs]

    def _number(self, variable: Variable) -> int:
        """Number of an input of the graph, a constant, or what has been read."""
        if variable not in self._numbers:
            if isinstance(variable, Constant) and isinstance(variable.type, TensorType) and not self._is_open(variable):
                number = self._constant(np.asarray(variable.data), variable)
            else:
                number = self._opened(ROOT, variable, (), variable)
            self._numbers[variable] = number
        return self._numbers[variable]

    def _constant(self, value: np.ndarray, variable: Variable | None = None) -> int:
        key = CONSTANT, value.dtype.str, value.shape, value.tobytes()
        return self._add(
            key, Item(CONSTANT, value if variable is None else variable, (), value.dtype.name, value.shape)
        )

    def _opened(self, kind: str, what: object, args: tuple[int, ...], variable: Variable) -> int:
        """Add what has lengths of its own."""
        number = len(self.items)
        if not isinstance(variable.type, TensorType):
            return self._add(None, Item(kind, what, args, f"of {number}", ()))
        shape = tuple(1 if n == 1 else (number, axis) for axis, n in enumerate(variable.type.shape))
        return self._add(None, Item(kind, what, args, variable.type.dtype, shape))

    def _add(self, key: Hashable, item: Item) -> int:
        if key is None:
            self.items.append(item)
            return len(self.items) - 1
        if key not in self._found:
            self.items.append(item)
            self._found[key] = len(self.items) - 1
        return self._found[key]

    def _read(self, node: Apply) -> None:
        args = tuple(map(self._number, node.inputs))
        is_plain = len(node.outputs) == 1 and isinstance(node.outputs[0].type, TensorType | ScalarType)
        reader = _READERS.get(type(node.op)) or next((r for k, r in _READERS.items() if isinstance(node.op, k)), None)
        number = reader(self, node, args) if reader and is_plain else None
        if number is not None:
            self._numbers[node.outputs[0]] = number
            return
        for place, output in enumerate(node.outputs):
            self._numbers[output] = self._opened(OPAQUE, (node, place), args, output)

    def applied(self, op, args: tuple[int, ...], dtype: str) -> int:
        """Add an elementwise operation."""
        shapes = [self.items[arg].shape for arg in args]
        return self._add((op, args), Item(APPLY, op, args, dtype, tuple(map(_common, zip(*shapes, strict=True)))))

    def _elementwise(self, node: Apply, args: tuple[int, ...]) -> int:
        return self.applied(node.op, args, node.outputs[0].type.dtype)

    def _reduced(self, node: Apply, args: tuple[int, ...]) -> int:
        shape, dtype = self.items[args[0]].shape, node.outputs[0].type.dtype
        if not shape and self.items[args[0]].dtype == dtype:
            return args[0]
        axes = reduced_axes(node.op, len(shape))
        left = tuple(length for axis, length in enumerate(shape) if axis not in axes)
        return self._add((node.op, args), Item(APPLY, node.op, args, dtype, left))

    def _vector(self, node: Apply, args: tuple[int, ...]) -> int | None:
        if any(self.items[arg].dtype != node.outputs[0].type.dtype for arg in args):
            return None
        return self._add((node.op, args), Item(APPLY, node.op, args, node.outputs[0].type.dtype, (len(args),)))

    def _shuffled(self, node: Apply, args: tuple[int, ...]) -> int:
        return self.shuffled(node.op.new_order, *args)

    def shuffled(self, order: Sequence[int | str], arg: int) -> int:
        """Add an array with its axes in another order, and new ones where ``"x"`` stands."""
        item = self.items[arg]
        if list(order) == list(range(len(item.shape))):
            return arg
        op = DimShuffle(input_ndim=len(item.shape), new_order=tuple(order))
        shape = tuple(item.shape[axis] if isinstance(axis, int) else 1 for axis in order)
        return self._add((op, (arg,)), Item(APPLY, op, (arg,), item.dtype, shape))

    def _checked(self, node: Apply, args: tuple[int, ...]) -> int | None:
        """PyMC's check of a parameter: a density of zero where it fails, as PyMC itself makes of it."""
        if not getattr(node.op, "can_be_replaced_by_ninf", False) or len(args) != 2 or node.outputs[0].type.ndim:
            return None
        dtype = node.outputs[0].type.dtype
        return self.applied(switch, (args[1], args[0], self._constant(np.array(-np.inf, dtype))), dtype)

    def _part(self, node: Apply, args: tuple[int, ...]) -> int | None:
        entries = [known_entry(entry) for entry in index_entries(node)]
        if None in entries:
            return None
        if all(isinstance(entry, int) for entry in entries):
            return self.element(args[0], tuple(entries), _LONGEST_WAY)
        source = self.items[args[0]]
        kept = [(entry, length) for entry, length in zip(entries, source.shape, strict=False)]
        sliced = [_sliced(length, entry) for entry, length in kept if isinstance(entry, slice)]
        key = tuple((e.start, e.stop, e.step) if isinstance(e, slice) else e for e in entries)
        shape = (*sliced, *source.shape[len(entries) :])
        return self._add((PART, key, args[:1]), Item(PART, tuple(entries), args[:1], source.dtype, shape))

    def element(self, source: int, index: tuple[int, ...], way: int) -> int:
        """Add what is at integers on the first axes of an array, without the rest of the array where that can be."""
        item, rest = self.items[source], self.items[source].shape[len(index) :]
        if item.kind == PART and all(isinstance(entry, int) for entry in item.what):
            return self.element(item.args[0], (*item.what, *index), way)
        key = PART, index, (source,)
        if key in self._found or not way:
            return self._add(key, Item(PART, index, (source,), item.dtype, rest))
        number = None
        if item.kind == CONSTANT and all(-n <= i < n for i, n in zip(index, item.shape, strict=False)):
            number = self._constant(np.asarray(held(item)[index]))
        elif item.is_elementwise and all(n != 1 for n in item.shape[: len(index)]):
            args = [self._element_of(arg, index, way - 1) for arg in item.args]
            number = self.applied(item.what, tuple(args), item.dtype)
        elif item.kind == APPLY and isinstance(item.what, MakeVector) and -len(item.args) <= index[0] < len(item.args):
            number = item.args[index[0]]
        elif item.kind == APPLY and isinstance(item.what, DimShuffle):
            number = self._element_shuffled(item, index, way - 1)
        if number is None:
            return self._add(key, Item(PART, index, (source,), item.dtype, rest))
        self._found[key] = number
        return number

    def _element_of(self, arg: int, index: tuple[int, ...], way: int) -> int:
        """Element of an operand that may broadcast."""
        lengths = self.items[arg].shape
        return self.element(arg, tuple(0 if n == 1 else i for i, n in zip(index, lengths, strict=False)), way)

    def _element_shuffled(self, item: Item, index: tuple[int, ...], way: int) -> int | None:
        order = item.what.new_order
        by_axis = {axis: i for axis, i in zip(order, index, strict=False) if axis != "x"}
        if sorted(by_axis) != list(range(len(by_axis))) or any(i not in (0, -1) for i in _new_axes(order, index)):
            return None
        inner = tuple(by_axis[axis] for axis in range(len(by_axis)))
        source = self.element(item.args[0], inner, way) if inner else item.args[0]
        return self.shuffled([a if a == "x" else a - len(inner) for a in order[len(index) :]], source)

    def _alias(self, node: Apply, args: tuple[int, ...]) -> int:
        return args[0]


def _new_axes(order: Sequence[int | str], index: Sequence[int]) -> list[int]:
    return [i for axis, i in zip(order, index, strict=False) if axis == "x"]


def _common(lengths: Sequence) -> object:
    """Length of an axis of an elementwise operation: a number if one of the operands has it."""
    own = [length for length in lengths if length != 1]
    return next((n for n in own if isinstance(n, int)), own[0] if own else 1)


def _sliced(length: object, part: slice) -> object:
    if isinstance(length, int):
        return len(range(length)[part])
    return length if part == slice(None) else ("part", length, part.start, part.stop, part.step)


def held(item: Item) -> np.ndarray:
    """Value of a constant."""
    return np.asarray(item.what.data if isinstance(item.what, Constant) else item.what)


_READERS = {
    Elemwise: Items._elementwise,
    CAReduce: Items._reduced,
    MakeVector: Items._vector,
    DimShuffle: Items._shuffled,
    Subtensor: Items._part,
    CheckAndRaise: Items._checked,
    ScalarFromTensor: Items._alias,
    TensorFromScalar: Items._alias,
}
