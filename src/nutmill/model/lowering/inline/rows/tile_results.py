"""Results of tiles of rows: kept as rows, or added up to arrays and numbers, of each block first and then of all.

A block is some tiles, always the same ones. Its sums begin at nothing, go along its tiles, and lie in memory of its
own until they are added in the order of blocks, whoever has computed them.
"""

from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir
from numba import types

from nutmill.model.lowering.inline.arrays import (
    WORD,
    ZERO,
    Emitter,
    Value,
    View,
    array_kind,
    contiguous_strides,
    itemsize,
    load,
    new_array,
    pointer,
    scalar,
    store,
    view_of,
)
from nutmill.model.lowering.inline.elements.reducers import Reducer
from nutmill.model.lowering.inline.filling import fill
from nutmill.model.lowering.inline.loops import Axes, Memory, nest
from nutmill.model.lowering.inline.step_memory import LINE

_NUMBER_BYTES = 8

# Takes what one tile gives: emitter, output, its first row and how many it has.
Take = Callable[[Emitter, Value, tuple[ir.Value, ir.Value]], None]


class KeptRows(NamedTuple):
    """A result whose rows are those of the tiles, one after the other."""

    array: ir.Value
    kind: types.Array

    def n_bytes(self, emitter: Emitter) -> ir.Value:
        """Bytes of what a block gives: none, each row is written where it stays."""
        return ZERO

    def begin(self, emitter: Emitter) -> None:
        """Nothing: each row is written once."""

    def begin_block(self, inside: Emitter, part: ir.Value) -> tuple[Take, Callable[[], None]]:
        """Write the beginning of a block; gives what takes tiles, and what ends it."""
        view = view_of(inside, self.kind, self.array)

        def take(inside: Emitter, output: Value, rows: tuple[ir.Value, ir.Value]) -> None:
            fill(inside, Axes(view_of(inside, *output), (False,)), some_rows(inside, view, rows))

        return take, lambda: None

    def add(self, emitter: Emitter, part: ir.Value) -> None:
        """Nothing: the rows are there."""

    def value(self, emitter: Emitter) -> ir.Value:
        """The result, as a reference that the caller owns."""
        return self.array


class SummedArray(NamedTuple):
    """A result that is the sum of what the tiles give, number by number."""

    array: ir.Value | None  # of the whole; none within a block
    kind: types.Array
    length: ir.Value
    reducer: Reducer

    def n_bytes(self, emitter: Emitter) -> ir.Value:
        """Bytes of what a block gives: whole lines."""
        size = emitter.builder.mul(self.length, WORD(itemsize(emitter, self.kind)))
        return whole_lines(emitter, size)

    def begin(self, emitter: Emitter) -> None:
        """Clear what an earlier pass over the tiles has left."""
        self._clear(emitter, view_of(emitter, self.kind, self.array))

    def begin_block(self, inside: Emitter, part: ir.Value) -> tuple[Take, Callable[[], None]]:
        """Write the beginning of a block; gives what takes tiles, and what ends it."""
        sums = self._at(inside, part)
        self._clear(inside, sums)
        return lambda inside, output, rows: self._add(inside, sums, view_of(inside, *output)), lambda: None

    def add(self, emitter: Emitter, part: ir.Value) -> None:
        """Add what a block has given."""
        self._add(emitter, view_of(emitter, self.kind, self.array), self._at(emitter, part))

    def value(self, emitter: Emitter) -> ir.Value:
        """The result, as a reference that the caller owns."""
        return self.array

    def _at(self, emitter: Emitter, place: ir.Value) -> View:
        return _array_at(emitter, self.kind, place, [self.length])

    def _clear(self, emitter: Emitter, view: View) -> None:
        with nest(emitter, view.shape) as indices:
            store(emitter, view, indices, self.reducer.start(emitter))

    def _add(self, emitter: Emitter, totals: View, given: View) -> None:
        memory = Memory(emitter)
        with nest(emitter, totals.shape) as at:
            total = self.reducer.add(emitter, memory.load_new(totals, at), memory.load_given(given, at))
            memory.store_new(totals, at, total)


class Number(NamedTuple):
    """A result that is one number, reduced from those of the tiles."""

    number: int  # of the result
    kind: types.Array
    reducer: Reducer
    register: ir.Value | None  # of the whole; none within a block

    def n_bytes(self, emitter: Emitter) -> ir.Value:
        """Bytes of what a block gives."""
        return WORD(_NUMBER_BYTES)

    def begin(self, emitter: Emitter) -> None:
        """Clear what an earlier pass over the tiles has left."""
        emitter.builder.store(self.reducer.start(emitter), self.register)

    def begin_block(self, inside: Emitter, part: ir.Value) -> tuple[Take, Callable[[], None]]:
        """Write the beginning of a block; gives what takes tiles, and what ends it."""
        register = self.reducer.begin(inside)

        def take(inside: Emitter, output: Value, rows: tuple[ir.Value, ir.Value]) -> None:
            self.reducer.take(inside, register, scalar(inside, *output)[1])

        return take, lambda: store(inside, self._at(inside, part), [], inside.builder.load(register))

    def add(self, emitter: Emitter, part: ir.Value) -> None:
        """Add what a block has given."""
        self.reducer.of_totals().take(emitter, self.register, load(emitter, self._at(emitter, part), []))

    def value(self, emitter: Emitter) -> ir.Value:
        """The result, as a reference that the caller owns."""
        value, view = new_array(emitter, self.kind, [], self.number)
        store(emitter, view, [], self.end(emitter))
        return value

    def end(self, emitter: Emitter) -> ir.Value:
        """What it is now."""
        return self.reducer.end(emitter, self.register)

    def _at(self, emitter: Emitter, place: ir.Value) -> View:
        return _array_at(emitter, array_kind(self.reducer.accumulated, 0), place, [])


Result = KeptRows | SummedArray | Number


def whole_lines(emitter: Emitter, size: ir.Value) -> ir.Value:
    """The same number of bytes or more, so that threads do not write into one line of the cache."""
    return emitter.builder.and_(emitter.builder.add(size, WORD(LINE - 1)), WORD(-LINE))


def some_rows(emitter: Emitter, view: View, rows: tuple[ir.Value, ir.Value]) -> View:
    """Some rows of an array: the first one, and how many."""
    first, count = rows
    n_others = len(view.shape) - 1
    return view._replace(data=pointer(emitter, view, [first, *[ZERO] * n_others]), shape=[count, *view.shape[1:]])


def _array_at(emitter: Emitter, kind: types.Array, place: ir.Value, shape: list[ir.Value]) -> View:
    data = emitter.builder.bitcast(place, emitter.context.get_data_type(kind.dtype).as_pointer())
    return View(kind, data, shape, contiguous_strides(emitter, kind, shape))
