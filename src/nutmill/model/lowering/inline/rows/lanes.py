"""Loops over rows in the order of their groups: a lane for each group, a step for each of their rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply

from nutmill.model.lowering.inline.arrays import (
    ONE,
    WORD,
    ZERO,
    Emitter,
    View,
    array_kind,
    load,
    new_array,
    numba_dtype,
    store,
    view_of,
)
from nutmill.model.lowering.inline.elements.reducers import Reducer
from nutmill.model.lowering.inline.elements.scalar_operations import Scalar
from nutmill.model.lowering.inline.loops import Memory, Own
from nutmill.model.lowering.inline.operation import Operation, kind_of_results, one_or_several
from nutmill.model.lowering.inline.rows.row_index import RowIndex
from nutmill.model.rewriting.fusion import Reduced, Stored
from nutmill.model.rewriting.rows.by_group import GROUP, GroupedLoop, Summed
from nutmill.native.grouping import LANES


def grouped_loop(node: Apply) -> Operation:
    """Write a `GroupedLoop` node."""
    loop = _GroupedLoop(node.op, node)
    return Operation(loop.result, loop.emit)


class _Lanes:
    """One value for each lane, on the stack: LLVM keeps it in a register."""

    def __init__(self, emitter: Emitter, kind: types.Type):
        self._emitter, self._kind = emitter, kind
        # As in memory: LLVM does not vectorise what is stored in single bits.
        self._data = cgutils.alloca_once(emitter.builder, emitter.context.get_data_type(kind), size=LANES)

    def load(self, lane: ir.Value) -> ir.Value:
        """Load the value of a lane."""
        return self._emitter.context.unpack_value(self._emitter.builder, self._kind, self._at(lane))

    def store(self, lane: ir.Value, value: ir.Value) -> None:
        """Store the value of a lane."""
        self._emitter.context.pack_value(self._emitter.builder, self._kind, value, self._at(lane))

    def _at(self, lane: ir.Value) -> ir.Value:
        return self._emitter.builder.gep(self._data, [lane], inbounds=True)


class _GroupedLoop:
    def __init__(self, op: GroupedLoop, node: Apply):
        self.op = op
        operands = node.inputs[: len(op.indices)]
        self.is_fixed = [v.type.broadcastable[0] for v in operands]
        self.scalar = Scalar(op.scalar_op, [v.type.dtype for v in operands])
        self.kinds = [array_kind(v.type.dtype, v.type.ndim) for v in node.outputs]
        self.reducers = {
            number: Reducer(result.reduction, self.scalar.dtypes[result.output], node.outputs[number].type.dtype)
            for number, result in enumerate(op.results)
            if isinstance(result, Reduced)
        }

    def result(self, operands: Sequence[types.Type]) -> types.Type:
        """Type of the result, or a tuple of those of all results."""
        return kind_of_results(self.kinds)

    def emit(self, emitter: Emitter, kinds: Sequence[types.Array], values: Sequence[ir.Value]) -> ir.Value:
        """Write the loop."""
        writer = _Writer(self, emitter, [view_of(emitter, k, v) for k, v in zip(kinds, values, strict=True)])
        writer.write()
        return one_or_several(writer.end())


class _Writer:
    """The loop as it is written once."""

    def __init__(self, loop: _GroupedLoop, emitter: Emitter, views: Sequence[View]):
        self._loop, self._emitter, self._builder = loop, emitter, emitter.builder
        self._operands = views[: len(loop.op.indices)]
        pieces, self._counts, self._begins = views[-3:]
        self._indices = {
            number: RowIndex(emitter, pieces if position == GROUP else views[position], self._operands[number].shape[0])
            for number, position in enumerate(loop.op.indices)
            if position is not None
        }
        n_rows = load(emitter, self._begins, [self._builder.sub(self._begins.shape[0], ONE)])
        lengths = {Stored: n_rows, Summed: pieces.shape[0]}
        self._arrays = {
            number: new_array(emitter, loop.kinds[number], [lengths[type(result)]], number)
            for number, result in enumerate(loop.op.results)
            if not isinstance(result, Reduced)
        }
        self._places = {number: place for place, number in enumerate(self._arrays)}
        # No two arrays overlap; LLVM does not vectorise so short a loop if it has to look for that.
        self._memory = Memory(emitter, len(self._places))
        self._fixed = {
            number: self._memory.load_given(view, [ZERO])
            for number, view in enumerate(self._operands)
            if loop.is_fixed[number]
        }
        self._gathered = {number: _Lanes(emitter, self._operands[number].kind.dtype) for number in self._indices}
        self._n_rows_left = _Lanes(emitter, types.int64)
        self._totals = {number: _Lanes(emitter, self._total_kind(number)) for number in range(len(loop.op.results))}

    def _total_kind(self, number: int) -> types.Type:
        reducer = self._loop.reducers.get(number)
        return numba_dtype(reducer.accumulated) if reducer else self._loop.kinds[number].dtype

    def write(self) -> None:
        """Write the loops over slices, steps and lanes."""
        builder, memory = self._builder, self._memory
        with self._lanes() as lane:
            for number, reducer in self._loop.reducers.items():
                self._totals[number].store(lane, reducer.start(self._emitter))
        n_slices = builder.sub(self._begins.shape[0], ONE)
        with cgutils.for_range(builder, n_slices, intp=WORD) as slices:
            first = memory.load_given(self._begins, [slices.index])
            end = memory.load_given(self._begins, [builder.add(slices.index, ONE)])
            piece = builder.mul(slices.index, WORD(LANES))
            self._enter(piece)
            with cgutils.for_range(builder, builder.sdiv(builder.sub(end, first), WORD(LANES)), intp=WORD) as steps:
                row = builder.add(first, builder.mul(steps.index, WORD(LANES)))
                self._gather(row, of_groups=False)
                with self._lanes() as lane:
                    self._step(steps.index, row, lane)
            self._leave(piece)

    def _enter(self, piece: ir.Value) -> None:
        """Read what belongs to the groups of a slice."""
        self._gather(piece, of_groups=True)
        with self._lanes() as lane:
            count = self._memory.load_given(self._counts, [self._builder.add(piece, lane)])
            self._n_rows_left.store(lane, count)
            for number, result in enumerate(self._loop.op.results):
                if isinstance(result, Summed):
                    zero = self._emitter.context.get_constant(self._total_kind(number), 0)
                    self._totals[number].store(lane, zero)

    def _gather(self, first: ir.Value, *, of_groups: bool) -> None:
        """Read by an index what belongs to the groups of a slice, or to its rows of one step."""
        for number, values in self._gathered.items():
            if (self._loop.op.indices[number] == GROUP) == of_groups:
                for lane in map(WORD, range(LANES)):  # a loop would hand it on by way of memory
                    row = self._indices[number].row(self._memory, self._builder.add(first, lane))
                    values.store(lane, self._memory.load_given(self._operands[number], [row]))

    def _step(self, step: ir.Value, row: ir.Value, lane: ir.Value) -> None:
        """One row of a lane."""
        builder, place = self._builder, [self._builder.add(row, lane)]
        is_busy = builder.icmp_signed("<", step, self._n_rows_left.load(lane))
        given = [self._read(number, place, lane) for number in range(len(self._operands))]
        computed = self._loop.scalar.emit(self._emitter, given)
        for number, result in enumerate(self._loop.op.results):
            value, totals = computed[result.output], self._totals[number]
            reducer = self._loop.reducers.get(number)
            if reducer is None or reducer.is_sum:  # zero adds nothing, and no addition waits for the choice
                value = builder.select(is_busy, value, ir.Constant(value.type, 0))
            if isinstance(result, Stored):
                self._store(number, place, value)
                continue
            before = totals.load(lane)
            after = reducer.add(self._emitter, before, value) if reducer else builder.fadd(before, value)
            is_changed = reducer is not None and not reducer.is_sum
            totals.store(lane, builder.select(is_busy, after, before) if is_changed else after)

    def _store(self, number: int, place: Sequence[ir.Value], value: ir.Value) -> None:
        self._memory.store_place(self._places[number], self._arrays[number][1], place, value)

    def _read(self, number: int, place: Sequence[ir.Value], lane: ir.Value) -> ir.Value:
        if number in self._fixed:
            return self._fixed[number]
        if number in self._gathered:
            return self._gathered[number].load(lane)
        return self._memory.load_given(self._operands[number], place)

    def _leave(self, piece: ir.Value) -> None:
        """Give the sums of a slice."""
        with self._lanes() as lane:
            for number, result in enumerate(self._loop.op.results):
                if isinstance(result, Summed):
                    of_lane = [self._builder.add(piece, lane)]
                    self._store(number, of_lane, self._totals[number].load(lane))

    def end(self) -> list[ir.Value]:
        """Give the results, once the loop is over."""
        for index in self._indices.values():
            index.end()
        return [
            self._reduced(number) if number in self._loop.reducers else self._arrays[number][0]
            for number in range(len(self._loop.op.results))
        ]

    def _reduced(self, number: int) -> ir.Value:
        """One value of those of all lanes, always in the same order."""
        emitter, reducer = self._emitter, self._loop.reducers[number].of_totals()
        register = reducer.begin(emitter)
        for lane in range(LANES):
            reducer.take(emitter, register, self._totals[number].load(WORD(lane)))
        value, view = new_array(emitter, self._loop.kinds[number], [], number)
        store(emitter, view, [], reducer.end(emitter, register))
        return value

    @contextmanager
    def _lanes(self) -> Iterator[ir.Value]:
        """A loop over lanes, which LLVM is to vectorise before it unrolls it."""
        builder = self._builder
        module, before, head = builder.module, builder.block, builder.append_basic_block("lane")
        builder.branch(head)
        builder.position_at_end(head)
        lane = builder.phi(WORD)
        lane.add_incoming(ZERO, before)
        yield lane
        following, end = builder.add(lane, ONE), builder.append_basic_block("lanes_end")
        lane.add_incoming(following, builder.block)
        back = builder.cbranch(builder.icmp_unsigned("<", following, WORD(LANES)), head, end)
        unrolled = module.add_metadata(["llvm.loop.unroll.full"])
        hints = [["llvm.loop.unroll.disable"], ["llvm.loop.vectorize.followup_vectorized", unrolled]]
        back.set_metadata("llvm.loop", Own(module, [module.add_metadata(hint) for hint in hints]))
        builder.position_at_end(end)
