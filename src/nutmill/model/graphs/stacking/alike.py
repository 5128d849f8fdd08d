"""Which items of a graph are alike: one operation, of operands of equal dtypes and lengths, neither needs the other."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from pytensor.scalar.basic import Add, Log, Log1p, Pow, Sqrt, Sub, TrueDiv
from pytensor.tensor.elemwise import Elemwise

from nutmill.model.graphs.stacking.items import APPLY, CONSTANT, OPAQUE, PART, ROOT, SUM, Item, held

# What PyTensor writes in a stable form together with what it is applied to, and how far it looks: log(1 - sigmoid(x)).
# Between the two there must be no index, so what they are applied to is computed with them.
_LOOKS_INTO = {Log: 3, Log1p: 3, TrueDiv: 3, Sqrt: 1, Sub: 1}

# From so many terms on a sum is no longer the elementwise operation that adds two.
_MANY_TERMS = 8

# Constants that a rewrite may know: they are part of the operation, others are data.
_TELLING = {-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0}


class Member(NamedTuple):
    """How an item is computed: an expression, in which numbers stand for the operands, and these."""

    expression: Any  # a pair of an op and its expressions, the number of an operand, or an item that is a constant
    operands: Sequence[int]  # numbers of items


class Groups:
    """What is needed for outputs, in the order of `depths`, and in groups of what is alike."""

    def __init__(self, items: Sequence[Item], outputs: Sequence[int]):
        self._items = list(items)
        needed = self._reachable(outputs)
        # Operations before anything is done to them, equal ones counted once.
        self.n_computed = sum(self._items[number].kind not in (ROOT, CONSTANT) for number in needed)
        self._flatten(needed, outputs)
        self.items = self._items
        self.members: dict[int, Member] = {}  # how each needed item is computed
        self._find_members(outputs)
        self.in_order = self._grouped()  # items that are alike; each group needs nothing of later ones

    def _flatten(self, needed: set[int], outputs: Sequence[int]) -> None:
        """Make a sum of many terms one item; the sums within it that nothing else needs disappear."""
        uses = Counter(arg for number in needed for arg in self._items[number].args)
        uses.update(outputs)
        within = {arg for n in needed if self._adds(n) for arg in self._items[n].args if self._continues(n, arg, uses)}
        for number in sorted(needed - within):
            terms = list(self._terms(number, within)) if self._adds(number) else ()
            if len(terms) >= _MANY_TERMS:
                self._items[number] = self._items[number]._replace(kind=SUM, what=None, args=tuple(terms))

    def _reachable(self, outputs: Sequence[int]) -> set[int]:
        seen, stack = set(), list(outputs)
        while stack:
            number = stack.pop()
            if number not in seen:
                seen.add(number)
                stack.extend(self._items[number].args)
        return seen

    def _adds(self, number: int) -> bool:
        item = self._items[number]
        is_number = item.dtype.startswith("float") and not item.shape
        return is_number and item.is_elementwise and isinstance(item.what.scalar_op, Add)

    def _continues(self, number: int, arg: int, uses: Counter) -> bool:
        return uses[arg] == 1 and self._adds(arg) and self._items[arg].dtype == self._items[number].dtype

    def _terms(self, number: int, within: set[int]) -> Iterator[int]:
        stack = list(reversed(self._items[number].args))
        while stack:
            term = stack.pop()
            if term in within:
                stack.extend(reversed(self._items[term].args))
            else:
                yield term

    def _find_members(self, outputs: Sequence[int]) -> None:
        stack = list(outputs)
        while stack:
            number = stack.pop()
            if number not in self.members:
                self.members[number] = self._member(number)
                stack.extend(self.members[number].operands)

    def _member(self, number: int) -> Member:
        item = self._items[number]
        if not item.is_elementwise:
            return Member(None, item.args)
        operands: dict[int, int] = {}
        looks_into = _LOOKS_INTO.get(type(item.what.scalar_op), 0)
        return Member(self._expression(number, looks_into, operands), list(operands))

    def _expression(self, number: int, depth: int, operands: dict[int, int]) -> object:
        item = self._items[number]
        exponent = isinstance(item.what.scalar_op, Pow)
        parts: list[object] = []
        for arg in item.args:
            below = self._items[arg]
            if below.kind == CONSTANT and (exponent or _is_telling(below)):
                parts.append(below)
            elif depth and below.is_elementwise and any(self._items[a].kind != CONSTANT for a in below.args):
                parts.append(self._expression(arg, depth - 1, operands))
            else:
                parts.append(operands.setdefault(arg, len(operands)))
        return item.what, tuple(parts)

    def _grouped(self) -> list[list[int]]:
        depths: dict[int, int] = {}
        found: dict[tuple[int, Hashable], list[int]] = {}
        for number in sorted(self.members):
            operands = self.members[number].operands
            depths[number] = 1 + max((depths[operand] for operand in operands), default=-1)
            found.setdefault((depths[number], self._likeness(number)), []).append(number)
        return [numbers for _, numbers in sorted(found.items(), key=lambda entry: entry[0][0])]

    def _likeness(self, number: int) -> Hashable:
        """Equal for items that are alike."""
        item = self._items[number]
        if item.kind in (ROOT, CONSTANT, OPAQUE):
            return number
        operands = [(self._items[o].dtype, self._items[o].shape) for o in self.members[number].operands]
        if item.kind == SUM:
            return SUM, item.dtype
        if item.kind == PART:
            is_element = all(isinstance(entry, int) for entry in item.what)
            return PART, len(item.what) if is_element else repr(item.what), *operands
        if item.kind == APPLY and not isinstance(item.what, Elemwise):
            return item.what, *operands
        return _key_of(self.members[number].expression), *operands


def _key_of(expression: Any) -> Hashable:
    """An expression in which constants stand for their values."""
    if isinstance(expression, Item):
        return expression.dtype, expression.shape, held(expression).tobytes()
    if isinstance(expression, int):
        return expression
    op, parts = expression
    return op, tuple(map(_key_of, parts))


def _is_telling(item: Item) -> bool:
    value = held(item)
    is_known = value.dtype == bool or (value.size == 1 and float(value.reshape(())) in _TELLING)
    return is_known or not np.isfinite(value).all()
