"""Rows of data in tiles: what a gradient computes for each row is done for some hundred rows at once.

A tile is as large as fits the cache beside what is computed of it, so that a matrix is read from memory once. Blocks
of tiles may be computed by several threads; sums are taken in the order of the tiles and blocks.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply

from nutmill.model.lowering.inline.arrays import (
    LENGTHS_DIFFER,
    ONE,
    WORD,
    ZERO,
    Emitter,
    Value,
    array_at,
    array_kind,
    itemsize,
    new_array,
    view_of,
)
from nutmill.model.lowering.inline.elements.reducers import Reducer
from nutmill.model.lowering.inline.operation import Operation, kind_of_results, one_or_several
from nutmill.model.lowering.inline.recursion.histories import boxed
from nutmill.model.lowering.inline.recursion.states import borrowed
from nutmill.model.lowering.inline.rows.tile_blocks import Blocks, compute_blocks
from nutmill.model.lowering.inline.rows.tile_results import (
    KeptRows,
    Number,
    Result,
    SummedArray,
    some_rows,
    whole_lines,
)
from nutmill.model.lowering.inline.steps import Program, StepProgram, write_program
from nutmill.model.rewriting.rows.tiles import Kept, RowTiles, Total

# Bytes of the rows of all matrices in a tile: they stay in the first level of the cache until they are read again.
_TILE_BYTES = 32 * 1024
_LEAST_ROWS, _MOST_ROWS = 16, 1024
# Of a block there are so many tiles at least, so that adding its sums costs little beside them, and of all so many
# blocks at most.
_LEAST_TILES, _MOST_BLOCKS = 4, 128


def tiled_rows(node: Apply, prepare: StepProgram) -> Operation:
    """Write a `RowTiles` node; `prepare` puts the operations of the step in order."""
    written = _WrittenTiles(node, prepare(node.op.step)[0])
    return Operation(written.result, written.emit)


class _Rows(NamedTuple):
    """How rows are divided: always alike for matrices of these columns, so that sums do not depend on the machine."""

    n_rows: ir.Value
    of_tile: ir.Value
    of_block: ir.Value
    n_blocks: ir.Value


class _WrittenTiles:
    def __init__(self, node: Apply, step: Program):
        self._op: RowTiles = node.op
        self._node, self._step = node, step
        self._kinds = [array_kind(v.type.dtype, v.type.ndim) for v in node.outputs]

    def result(self, operands: Sequence[types.Type]) -> types.Type:
        """Type of the result, or a tuple of those of all results."""
        return kind_of_results(self._kinds)

    def emit(self, emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        """Write a loop over blocks, within one over guesses if there are any."""
        builder = emitter.builder
        given = [Value(*each) for each in zip(kinds, values, strict=True)]
        rows = _divided(emitter, self._n_rows(emitter, given), self._bytes_of_row(emitter, given))
        results = [self._new_result(emitter, number, given, rows) for number in range(len(self._kinds))]
        guesses = {number: cgutils.alloca_once(builder, cgutils.bool_t) for number in self._op.guesses}
        again = builder.append_basic_block("tiles.again")
        for guess in guesses.values():
            builder.store(cgutils.true_bit, guess)
        builder.branch(again)
        builder.position_at_end(again)
        fixed = [*given, *(Value(types.boolean, builder.load(guess)) for guess in guesses.values())]
        self._compute(emitter, fixed, results, rows)
        _repeat_if_wrong(emitter, results, guesses, again)
        ends = [result.value(emitter) for result in results]
        return one_or_several(ends)

    def _n_rows(self, emitter: Emitter, given: Sequence[Value]) -> ir.Value:
        """Number of rows, of all that is sliced."""
        views = [view_of(emitter, *each) for each, sliced in zip(given, self._op.sliced, strict=True) if sliced]
        n_rows = views[0].shape[0]
        for view in views[1:]:
            emitter.fail_if(emitter.builder.icmp_unsigned("!=", view.shape[0], n_rows), ValueError, LENGTHS_DIFFER)
        return n_rows

    def _bytes_of_row(self, emitter: Emitter, given: Sequence[Value]) -> ir.Value:
        """Bytes of one row of all matrices."""
        builder, total = emitter.builder, ZERO
        for each, sliced in zip(given, self._op.sliced, strict=False):
            if sliced and each.kind.ndim > 1:
                n_columns = view_of(emitter, *each).shape[1]
                total = builder.add(total, builder.mul(n_columns, WORD(itemsize(emitter, each.kind))))
        return total

    def _new_result(self, emitter: Emitter, number: int, given: Sequence[Value], rows: _Rows) -> Result:
        result, kind = self._op.results[number], self._kinds[number]
        if isinstance(result, Kept):
            return KeptRows(new_array(emitter, kind, [rows.n_rows], number)[0], kind)
        reducer = self._reducer(number, result)
        if result.columns_of is None:
            return Number(number, kind, reducer, reducer.begin(emitter))
        n_columns = view_of(emitter, *given[result.columns_of]).shape[1]
        return SummedArray(new_array(emitter, kind, [n_columns], number)[0], kind, n_columns, reducer)

    def _reducer(self, number: int, total: Total) -> Reducer:
        dtype = self._node.outputs[number].type.dtype
        return Reducer(total.reduction, dtype, dtype)

    def _compute(self, emitter: Emitter, fixed: Sequence[Value], results: Sequence[Result], rows: _Rows) -> None:
        """Write one pass over all blocks."""
        builder = emitter.builder
        for result in results:
            result.begin(emitter)
        _, part_bytes = _offsets(emitter, results)
        size = builder.udiv(builder.mul(part_bytes, rows.n_blocks), WORD(8))
        parts, view = new_array(emitter._replace(stays=(False,)), types.Array(types.int64, 1, "C"), [size])
        kept = [Value(result.kind, result.array) for result in results if isinstance(result, KeptRows)]
        captured = [*fixed, *kept, *(Value(types.int64, number) for number in rows)]
        blocks = Blocks(captured, view.data, part_bytes, rows.n_blocks)

        def write(inside: Emitter, values: Sequence[Value], block: ir.Value, part: ir.Value) -> None:
            there = _Rows(*(each.value for each in values[-len(_Rows._fields) :]))
            given, arrays = values[: len(fixed)], iter(values[len(fixed) :])
            again = [self._result_in_block(inside, number, given, arrays) for number in range(len(results))]
            self._write_block(inside, given, again, there, (block, part))

        compute_blocks(emitter, blocks, write)
        offsets, _ = _offsets(emitter, results)
        with cgutils.for_range(builder, rows.n_blocks) as loop:
            at = builder.mul(loop.index, part_bytes)
            for result, offset in zip(results, offsets, strict=True):
                result.add(emitter, _beyond(emitter, view.data, builder.add(at, offset)))
        emitter.context.nrt.decref(builder, view.kind, parts)

    def _result_in_block(self, inside: Emitter, number: int, given: Sequence[Value], kept) -> Result:
        """The same result, as the function sees it that computes blocks."""
        result, kind = self._op.results[number], self._kinds[number]
        if isinstance(result, Kept):
            return KeptRows(next(kept).value, kind)
        if result.columns_of is None:
            return Number(number, kind, self._reducer(number, result), None)
        n_columns = view_of(inside, *given[result.columns_of]).shape[1]
        return SummedArray(None, kind, n_columns, self._reducer(number, result))

    def _write_block(
        self,
        inside: Emitter,
        given: Sequence[Value],
        results: Sequence[Result],
        rows: _Rows,
        place: tuple[ir.Value, ir.Value],
    ) -> None:
        """Write the loop over the tiles of a block: the step, and what becomes of what it gives."""
        builder, (block, part) = inside.builder, place
        offsets, _ = _offsets(inside, results)
        begun = [
            result.begin_block(inside, _beyond(inside, part, offset))
            for result, offset in zip(results, offsets, strict=True)
        ]
        begin = builder.mul(block, rows.of_block)
        end = _lesser(inside, builder.add(begin, rows.of_block), rows.n_rows)
        with cgutils.for_range_slice(builder, begin, end, rows.of_tile) as (first, _):
            some = first, _lesser(inside, builder.sub(end, first), rows.of_tile)
            inputs = self._inputs(inside, given, some)
            outputs = write_program(self._step, inside, [each.kind for each in inputs], [each.value for each in inputs])
            for output, (take, _) in zip(outputs, begun, strict=True):
                take(inside, output, some)
            for output in outputs:
                inside.context.nrt.decref(builder, *output)
        for _, end_block in begun:
            end_block()

    def _inputs(self, inside: Emitter, given: Sequence[Value], rows: tuple[ir.Value, ir.Value]) -> list[Value]:
        """What the step reads: rows of its tile, and what all tiles read."""
        inputs = []
        for number, each in enumerate(given):
            if number >= len(self._op.sliced):
                inputs.append(boxed(inside, *each))
            elif self._op.sliced[number]:
                inputs.append(Value(each.kind, array_at(inside, some_rows(inside, view_of(inside, *each), rows))))
            else:
                inputs.append(borrowed(inside, each, self._node.inputs[number].type.shape))
        return inputs


def _divided(emitter: Emitter, n_rows: ir.Value, row_bytes: ir.Value) -> _Rows:
    """Rows of tiles and of blocks, by the bytes of a row."""
    builder = emitter.builder
    at_least_one = builder.select(builder.icmp_unsigned("==", row_bytes, ZERO), ONE, row_bytes)
    of_tile = builder.and_(builder.udiv(WORD(_TILE_BYTES), at_least_one), WORD(-_LEAST_ROWS))
    of_tile = _lesser(emitter, _greater(emitter, of_tile, WORD(_LEAST_ROWS)), WORD(_MOST_ROWS))
    n_tiles = _parts(emitter, n_rows, of_tile)
    tiles = _greater(emitter, _parts(emitter, n_tiles, WORD(_MOST_BLOCKS)), WORD(_LEAST_TILES))
    return _Rows(n_rows, of_tile, builder.mul(tiles, of_tile), _parts(emitter, n_tiles, tiles))


def _offsets(emitter: Emitter, results: Sequence[Result]) -> tuple[list[ir.Value], ir.Value]:
    """Where in the memory of a block each result has its part, and how many bytes it has; arrays first, in lines."""
    offsets, end = {}, ZERO
    for number in sorted(range(len(results)), key=lambda number: isinstance(results[number], Number)):
        offsets[number] = end
        end = emitter.builder.add(end, results[number].n_bytes(emitter))
    return [offsets[number] for number in range(len(results))], whole_lines(emitter, end)


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


def _beyond(emitter: Emitter, place: ir.Value, n_bytes: ir.Value) -> ir.Value:
    """The pointer so many bytes further."""
    builder = emitter.builder
    return builder.gep(builder.bitcast(place, cgutils.voidptr_t), [n_bytes], inbounds=True)


def _parts(emitter: Emitter, size: ir.Value, most: ir.Value) -> ir.Value:
    """Number of parts of at most so many each."""
    builder = emitter.builder
    return builder.udiv(builder.add(size, builder.sub(most, ONE)), most)


def _lesser(emitter: Emitter, one: ir.Value, other: ir.Value) -> ir.Value:
    return emitter.builder.select(emitter.builder.icmp_unsigned("<", one, other), one, other)


def _greater(emitter: Emitter, one: ir.Value, other: ir.Value) -> ir.Value:
    return emitter.builder.select(emitter.builder.icmp_unsigned(">", one, other), one, other)
