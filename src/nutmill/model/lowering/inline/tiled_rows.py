"""Rows of data in tiles: what a gradient computes for each row is done for some hundred rows at once.

A tile is as large as fits the cache beside what is computed of it, so that a matrix is read from memory once. Sums are
taken in the order of the tiles.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply
from pytensor.graph.fg import FunctionGraph

from nutmill.model.lowering.inline.arrays import (
    ONE,
    WORD,
    ZERO,
    Emitter,
    Value,
    View,
    array_at,
    array_kind,
    itemsize,
    new_array,
    pointer,
    scalar,
    store,
    view_of,
)
from nutmill.model.lowering.inline.filling import fill
from nutmill.model.lowering.inline.histories import boxed
from nutmill.model.lowering.inline.loops import Axes, Memory, nest
from nutmill.model.lowering.inline.operation import Operation
from nutmill.model.lowering.inline.reducers import Reducer
from nutmill.model.lowering.inline.states import borrowed
from nutmill.model.lowering.inline.step_memory import Scratch
from nutmill.model.lowering.inline.steps import Program, write_program
from nutmill.model.rewriting.tiles import Kept, RowTiles

_MISFIT = "arrays of the model that are combined element by element have different lengths"

# Bytes of the rows of all matrices in a tile: they stay in the first level of the cache until they are read again.
_TILE_BYTES = 32 * 1024
_LEAST_ROWS, _MOST_ROWS = 16, 1024

Prepare = Callable[[FunctionGraph], tuple[Program, list[bool]]]


def tiled_rows(node: Apply, prepare: Prepare) -> Operation:
    """Write a `RowTiles` node; `prepare` puts the operations of the step in order."""
    written = _WrittenTiles(node, prepare(node.op.step)[0])
    return Operation(written.result, written.emit)


class _KeptRows(NamedTuple):
    """A result whose rows are those of the tiles, one after the other."""

    array: ir.Value
    view: View

    def begin(self, emitter: Emitter) -> None:
        """Nothing: each row is written once."""

    def take(self, inside: Emitter, output: Value, rows: tuple[ir.Value, ir.Value]) -> None:
        """Take what one tile gives."""
        fill(inside, Axes(view_of(inside, *output), (False,)), _rows(inside, self.view, rows))

    def value(self, emitter: Emitter) -> ir.Value:
        """The result, as a reference that the caller owns."""
        return self.array


class _SummedArray(NamedTuple):
    """A result that is the sum of what the tiles give, number by number."""

    array: ir.Value
    view: View
    reducer: Reducer

    def begin(self, emitter: Emitter) -> None:
        """Clear what an earlier pass over the tiles has left."""
        with nest(emitter, self.view.shape) as indices:
            store(emitter, self.view, indices, self.reducer.start(emitter))

    def take(self, inside: Emitter, output: Value, rows: tuple[ir.Value, ir.Value]) -> None:
        """Take what one tile gives."""
        memory, given = Memory(inside), view_of(inside, *output)
        with nest(inside, self.view.shape) as at:
            total = self.reducer.add(inside, memory.load_new(self.view, at), memory.load_given(given, at))
            memory.store_new(self.view, at, total)

    def value(self, emitter: Emitter) -> ir.Value:
        """The result, as a reference that the caller owns."""
        return self.array


class _Number(NamedTuple):
    """A result that is one number, reduced from those of the tiles."""

    number: int  # of the result
    kind: types.Array
    reducer: Reducer
    register: ir.Value

    def begin(self, emitter: Emitter) -> None:
        """Clear what an earlier pass over the tiles has left."""
        emitter.builder.store(self.reducer.start(emitter), self.register)

    def take(self, inside: Emitter, output: Value, rows: tuple[ir.Value, ir.Value]) -> None:
        """Take what one tile gives."""
        self.reducer.take(inside, self.register, scalar(inside, *output)[1])

    def value(self, emitter: Emitter) -> ir.Value:
        """The result, as a reference that the caller owns."""
        value, view = new_array(emitter, self.kind, [], self.number)
        store(emitter, view, [], self.end(emitter))
        return value

    def end(self, emitter: Emitter) -> ir.Value:
        """What it is now."""
        return self.reducer.end(emitter, self.register)


class _WrittenTiles:
    def __init__(self, node: Apply, step: Program):
        self._op: RowTiles = node.op
        self._node, self._step = node, step
        self._kinds = [array_kind(v.type.dtype, v.type.ndim) for v in node.outputs]

    def result(self, operands: Sequence[types.Type]) -> types.Type:
        """Type of the result, or a tuple of those of all results."""
        return self._kinds[0] if len(self._kinds) == 1 else types.Tuple(self._kinds)

    def emit(self, emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        """Write a loop over tiles, within one over guesses if there are any."""
        builder = emitter.builder
        given = [Value(*each) for each in zip(kinds, values, strict=True)]
        n_rows = self._n_rows(emitter, given)
        results = [self._result(emitter, number, given, n_rows) for number in range(len(self._kinds))]
        guesses = {number: cgutils.alloca_once(builder, cgutils.bool_t) for number in self._op.guesses}
        scratch = emitter.scratch or Scratch(emitter.pieces)
        again = builder.append_basic_block("tiles.again")
        for guess in guesses.values():
            builder.store(cgutils.true_bit, guess)
        builder.branch(again)
        builder.position_at_end(again)
        for result in results:
            result.begin(emitter)
        fixed = [*given, *(Value(types.boolean, builder.load(guess)) for guess in guesses.values())]
        self._write_tiles(emitter._replace(scratch=scratch), fixed, results, n_rows)
        _repeat_if_wrong(emitter, results, guesses, again)
        if scratch is not emitter.scratch:
            scratch.release(emitter.context, emitter.builder)
        ends = [result.value(emitter) for result in results]
        return ends[0] if len(ends) == 1 else emitter.context.make_tuple(builder, self.result(kinds), ends)

    def _n_rows(self, emitter: Emitter, given: Sequence[Value]) -> ir.Value:
        """Number of rows, of all that is sliced."""
        views = [view_of(emitter, *each) for each, sliced in zip(given, self._op.sliced, strict=True) if sliced]
        n_rows = views[0].shape[0]
        for view in views[1:]:
            emitter.fail_if(emitter.builder.icmp_unsigned("!=", view.shape[0], n_rows), ValueError, _MISFIT)
        return n_rows

    def _bytes_of_row(self, emitter: Emitter, given: Sequence[Value]) -> ir.Value:
        """Bytes of one row of all matrices."""
        builder, total = emitter.builder, ZERO
        for each, sliced in zip(given, self._op.sliced, strict=False):
            if sliced and each.kind.ndim > 1:
                n_columns = view_of(emitter, *each).shape[1]
                total = builder.add(total, builder.mul(n_columns, WORD(itemsize(emitter, each.kind))))
        return total

    def _result(self, emitter: Emitter, number: int, given: Sequence[Value], n_rows: ir.Value):
        result, kind, dtype = self._op.results[number], self._kinds[number], self._node.outputs[number].type.dtype
        if isinstance(result, Kept):
            return _KeptRows(*new_array(emitter, kind, [n_rows], number))
        reducer = Reducer(result.reduction, dtype, dtype)
        if result.columns_of is None:
            return _Number(number, kind, reducer, reducer.begin(emitter))
        n_columns = view_of(emitter, *given[result.columns_of]).shape[1]
        return _SummedArray(*new_array(emitter, kind, [n_columns], number), reducer)

    def _write_tiles(self, inside: Emitter, given: Sequence[Value], results: Sequence, n_rows: ir.Value) -> None:
        """Write the loop over tiles: the step, and what becomes of what it gives."""
        builder = inside.builder
        n_at_once = _n_at_once(inside, self._bytes_of_row(inside, given))
        with cgutils.for_range_slice(builder, ZERO, n_rows, n_at_once) as (first, _):
            left = builder.sub(n_rows, first)
            rows = first, builder.select(builder.icmp_unsigned("<", left, n_at_once), left, n_at_once)
            inputs = self._inputs(inside, given, rows)
            outputs = write_program(self._step, inside, [each.kind for each in inputs], [each.value for each in inputs])
            for output, result in zip(outputs, results, strict=True):
                result.take(inside, output, rows)
            for output in outputs:
                inside.context.nrt.decref(builder, *output)

    def _inputs(self, inside: Emitter, given: Sequence[Value], rows: tuple[ir.Value, ir.Value]) -> list[Value]:
        """What the step reads: rows of its tile, and what all tiles read."""
        inputs = []
        for number, each in enumerate(given):
            if number >= len(self._op.sliced):
                inputs.append(boxed(inside, *each))
            elif self._op.sliced[number]:
                inputs.append(Value(each.kind, array_at(inside, _rows(inside, view_of(inside, *each), rows))))
            else:
                inputs.append(borrowed(inside, each, self._node.inputs[number].type.shape))
        return inputs


def _repeat_if_wrong(emitter: Emitter, results: Sequence, guesses: Mapping[int, ir.Value], again: ir.Block) -> None:
    """Go through all tiles again if something that was taken to hold in all rows does not."""
    builder = emitter.builder
    is_wrong = cgutils.false_bit
    for number, guess in guesses.items():
        found = results[number].end(emitter)
        is_wrong = builder.or_(is_wrong, builder.xor(found, builder.load(guess)))
        builder.store(found, guess)
    done = builder.append_basic_block("tiles.done")
    builder.cbranch(is_wrong, again, done)
    builder.position_at_end(done)


def _n_at_once(emitter: Emitter, row_bytes: ir.Value) -> ir.Value:
    """Rows of a tile: always as many for matrices of these columns, so that sums do not depend on the machine."""
    builder = emitter.builder
    at_least_one = builder.select(builder.icmp_unsigned("==", row_bytes, ZERO), ONE, row_bytes)
    n_rows = builder.udiv(WORD(_TILE_BYTES), at_least_one)
    n_rows = builder.and_(n_rows, WORD(-_LEAST_ROWS))
    for bound, sign in ((_LEAST_ROWS, "<"), (_MOST_ROWS, ">")):
        n_rows = builder.select(builder.icmp_unsigned(sign, n_rows, WORD(bound)), WORD(bound), n_rows)
    return n_rows


def _rows(emitter: Emitter, view: View, rows: tuple[ir.Value, ir.Value]) -> View:
    """Some rows of an array: the first one, and how many."""
    first, count = rows
    n_others = len(view.shape) - 1
    return view._replace(data=pointer(emitter, view, [first, *[ZERO] * n_others]), shape=[count, *view.shape[1:]])
