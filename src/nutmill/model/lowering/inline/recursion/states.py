"""What the steps of a recursion read and leave: rows of sequences, states and their earlier values, collected rows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.tensor.type import TensorType

from nutmill.model.lowering.inline.arrays import (
    WORD,
    ZERO,
    Emitter,
    Value,
    array_at,
    array_kind,
    integer,
    new_array,
    scalar,
    shared,
    store,
    view_of,
)
from nutmill.model.lowering.inline.filling import fill
from nutmill.model.lowering.inline.loops import Axes, short_lengths
from nutmill.model.lowering.inline.recursion.histories import (
    Rows,
    boxed,
    following,
    newest_last,
    read_row,
    row,
    with_short_rows,
    write_row,
)

_TOO_SHORT = "a sequence of a scan in the model has fewer elements than the scan has steps"
_NO_START = "a scan in the model has fewer initial values than its steps look back"
_NO_ROOM = "a scan in the model has no room for what its steps give"


class Recursion(NamedTuple):
    """Where a recursion is written."""

    # For what outlives the recursion, and for what a step makes.
    outside: Emitter
    inside: Emitter
    n_steps: ir.Value  # the most steps that there may be; the recursion `may_end_early`
    may_end_early: bool  # whether a step can be the last one by what it gives

    @property
    def has_steps(self) -> ir.Value:
        """Whether there is a first step."""
        return self.outside.builder.icmp_signed(">", self.n_steps, ZERO)


def borrowed(emitter: Emitter, given: Value, static: Sequence[int | None]) -> Value:
    """What all steps read, without counts of references; a number is read once."""
    if not isinstance(given.kind, types.Array):
        return given
    if given.kind.ndim == 0:
        return boxed(emitter, *scalar(emitter, *given))
    view = view_of(emitter, *given)
    return Value(given.kind, array_at(emitter, view._replace(shape=short_lengths(emitter, view.shape, static))))


class SequenceRows:
    """A sequence: each step reads the row of its own number."""

    def __init__(self, recursion: Recursion, number: int, given: Value, static: Sequence[int | None]):
        self._emitter, self._number = recursion.inside, number
        view = view_of(recursion.inside, *given)
        is_short = recursion.inside.builder.icmp_signed("<", view.shape[0], recursion.n_steps)
        recursion.inside.fail_if(is_short, ValueError, _TOO_SHORT)
        self._view = with_short_rows(recursion.inside, view, static)

    def read(self, step: ir.Value) -> Mapping[int, Value]:
        """The input of the step."""
        return {self._number: read_row(self._emitter, row(self._emitter, self._view, step))}


class Taps(NamedTuple):
    """A state whose values lie in an array, those before the first step in front."""

    # Numbers of the array among the operands, and of what becomes of it among the results.
    operand: int
    result: int
    # Number of an input or output of the step, and how far from the step's number its row lies.
    reads: Sequence[tuple[int, int]]
    writes: Sequence[tuple[int, int]]
    in_place: bool  # whether the operand may be written into
    # Whether the array may be shorter than all that is written, and then has the newest values, the last one at its
    # end. Else it holds sums that steps add to, PyTensor's mit-mot.
    is_history: bool
    static: Sequence[int | None]  # lengths that the array's type tells

    def kind(self, operands: Sequence[types.Array]) -> types.Array:
        """Type of the result."""
        given = operands[self.operand]
        return given if self._takes(given) else array_of(given)

    def array(self, emitter: Emitter, given: Value) -> Value:
        """The array that steps write into."""
        if self._takes(given.kind):
            return Value(given.kind, shared(emitter, *given))
        return _copied(emitter, given, self.result)

    def _takes(self, given: types.Array) -> bool:
        """Whether the operand itself is written into: of one by columns, a copy by rows could not take the place."""
        return self.in_place and given.mutable and given.layout in "CA"


def array_of(given: types.Array) -> types.Array:
    """Type of a copy."""
    return types.Array(given.dtype, given.ndim, "C")


def _copied(emitter: Emitter, given: Value, result: int) -> Value:
    kind, source = array_of(given.kind), view_of(emitter, *given)
    value, view = new_array(emitter, kind, source.shape, result)
    fill(emitter, Axes(source, (False,) * len(source.shape)), view)
    return Value(kind, value)


class TappedState:
    """A state with taps. What steps have given of one that is a number is handed on in registers."""

    def __init__(self, recursion: Recursion, taps: Taps, given: Value):
        self._recursion, self._taps, emitter = recursion, taps, recursion.inside
        self._array = taps.array(recursion.outside, given)
        self._carried = self._ways() if self._array.kind.ndim == 1 else {}
        offsets = [offset for number, offset in taps.reads if number not in self._carried]
        view = view_of(emitter, *self._array)
        self._rows = Rows(emitter, view, taps.static, [*offsets, *(offset for _, offset in taps.writes)])
        # Of each output the newest value, the one before, ...: as many as some input looks back.
        number = emitter.context.get_value_type(self._array.kind.dtype)
        back = {output: [n for of, n in self._carried.values() if of == output] for output, _ in taps.writes}
        self._registers = {
            output: [cgutils.alloca_once(emitter.builder, number) for _ in range(max(steps, default=0))]
            for output, steps in back.items()
        }
        with emitter.builder.if_then(recursion.has_steps):
            self._begin(emitter)

    def _ways(self) -> dict[int, tuple[int, int]]:
        """For each input that earlier steps have written: by which output, and how many steps before."""
        ways = {}
        for number, offset in self._taps.reads:
            earlier = [(written - offset, output) for output, written in self._taps.writes if written > offset]
            if earlier:
                back, output = min(earlier)
                ways[number] = (output, back)
        return ways

    def _begin(self, emitter: Emitter) -> None:
        needed = max((offset + 1 for _, offset in self._taps.reads), default=1)
        is_short = emitter.builder.icmp_signed("<", self._rows.view.shape[0], WORD(needed))
        emitter.fail_if(is_short, ValueError, _NO_START)
        for output, written in self._taps.writes:
            for back, register in enumerate(self._registers[output], start=1):
                emitter.builder.store(self._rows.first(written - back), register)

    def read(self, step: ir.Value) -> Mapping[int, Value]:
        """Inputs of the step: the values at all taps."""
        emitter, given = self._recursion.inside, {}
        for number, offset in self._taps.reads:
            if number in self._carried:
                output, back = self._carried[number]
                value = emitter.builder.load(self._registers[output][back - 1])
                given[number] = boxed(emitter, self._array.kind.dtype, value)
            else:
                given[number] = read_row(emitter, self._rows.at(offset))
        return given

    def write(self, step: ir.Value, outputs: Sequence[Value]) -> None:
        """Keep the outputs of the step that belong to the state."""
        builder = self._recursion.inside.builder
        for output, offset in self._taps.writes:
            write_row(self._recursion.inside, self._rows.at(offset), outputs[output])
            registers = self._registers[output]
            values = [outputs[output].value, *(builder.load(register) for register in registers[:-1])]
            for register, value in zip(registers, values, strict=False):
                builder.store(value, register)
        self._rows.advance()

    def end(self, count: ir.Value) -> Value:
        """The array after `count` steps, as a reference that the caller owns."""
        if not self._taps.is_history:
            return self._array
        (offset,) = {offset for _, offset in self._taps.writes}
        recursion, total = self._recursion, self._recursion.inside.builder.add(count, WORD(offset))
        return newest_last(recursion.outside, self._array, total, may_end_early=recursion.may_end_early)


class KeptState:
    """A state of which nothing is kept but its newest value."""

    def __init__(self, recursion: Recursion, numbers: tuple[int, int, int], given: Value):
        self._input, self._output, self._result = numbers
        self._recursion, emitter = recursion, recursion.inside
        if given.kind.ndim:
            self._array = _copied(recursion.outside, given, self._result)
            self._view = view_of(emitter, *self._array)
        else:
            self._array = Value(array_of(given.kind), None)
            self._register = cgutils.alloca_once_value(emitter.builder, scalar(emitter, *given)[1])

    def read(self, step: ir.Value) -> Mapping[int, Value]:
        """Input of the step."""
        if self._array.kind.ndim:
            return {self._input: read_row(self._recursion.inside, self._view)}
        number = self._recursion.inside.builder.load(self._register)
        return {self._input: boxed(self._recursion.inside, self._array.kind.dtype, number)}

    def write(self, step: ir.Value, outputs: Sequence[Value]) -> None:
        """Keep the output of the step."""
        given = outputs[self._output]
        if self._array.kind.ndim:
            write_row(self._recursion.inside, self._view, given)
        else:
            self._recursion.inside.builder.store(given.value, self._register)

    def end(self, count: ir.Value) -> Value:
        """The newest value, as a reference that the caller owns."""
        if self._array.kind.ndim:
            return self._array
        value, view = new_array(self._recursion.outside, self._array.kind, [], self._result)
        store(self._recursion.outside, view, [], self._recursion.inside.builder.load(self._register))
        return Value(self._array.kind, value)


class Collected:
    """What each step gives anew, row after row; the first step tells the shape of a row, if its type does not."""

    def __init__(self, recursion: Recursion, numbers: tuple[int, int], given: Value, row_type: TensorType):
        self._output, self._result = numbers
        self._recursion, self._static = recursion, row_type.shape
        self._kind = array_kind(row_type.dtype, row_type.ndim + 1)
        emitter = recursion.outside
        self._length = integer(emitter, *given)
        is_short = emitter.builder.icmp_signed("<", self._length, ZERO)
        is_empty = emitter.builder.and_(recursion.has_steps, emitter.builder.icmp_signed("==", self._length, ZERO))
        emitter.fail_if(emitter.builder.or_(is_short, is_empty), ValueError, _NO_ROOM)
        lengths = [ZERO if length is None else WORD(length) for length in self._static]
        value, _ = new_array(emitter, self._kind, [self._length, *lengths], self._result)
        self._value = cgutils.alloca_once_value(emitter.builder, value)
        self._place = cgutils.alloca_once_value(emitter.builder, ZERO)

    def read(self, step: ir.Value) -> Mapping[int, Value]:
        """Nothing: no step reads it."""
        return {}

    def write(self, step: ir.Value, outputs: Sequence[Value]) -> None:
        """Keep the output of the step."""
        emitter, given = self._recursion.inside, outputs[self._output]
        if None in self._static:
            with emitter.builder.if_then(emitter.builder.icmp_signed("==", step, ZERO), likely=False):
                self._make_room(view_of(emitter, *given).shape)
        view = view_of(emitter, self._kind, emitter.builder.load(self._value))
        place = emitter.builder.load(self._place)
        write_row(emitter, row(emitter, with_short_rows(emitter, view, (None, *self._static)), place), given)
        emitter.builder.store(following(emitter, place, self._length), self._place)

    def _make_room(self, shape: Sequence[ir.Value]) -> None:
        emitter = self._recursion.outside
        emitter.context.nrt.decref(emitter.builder, self._kind, emitter.builder.load(self._value))
        value, _ = new_array(emitter, self._kind, [self._length, *shape], self._result)
        emitter.builder.store(value, self._value)

    def end(self, count: ir.Value) -> Value:
        """All rows after `count` steps, as a reference that the caller owns."""
        emitter = self._recursion.outside
        rows = Value(self._kind, emitter.builder.load(self._value))
        return newest_last(emitter, rows, count, may_end_early=self._recursion.may_end_early)
