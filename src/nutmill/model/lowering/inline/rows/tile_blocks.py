"""Blocks of a loop as a function of their own, which several threads may call for different blocks.

What it reads comes in a record on the caller's stack, its arrays in memory of the calling thread. The threads that
help (`native/teams.py`) are led to by the word of the data record that `Emitter.teams` is.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import ONE, WORD, ZERO, Emitter, Value
from nutmill.model.lowering.inline.step_memory import Pieces, Scratch
from nutmill.native.team_code import PLACE_BYTES, SHARE

_STATUS = ir.IntType(32)
# Of the function, in Numba's calling convention: what it reads, memory, the first block and the one after the last.
_TAKEN = (types.voidptr, types.voidptr, types.int64, types.int64)

# Writes a block: emitter, what the function reads, number of the block, where its part of the results lies.
WriteBlock = Callable[[Emitter, Sequence[Value], ir.Value, ir.Value], None]


class Blocks(NamedTuple):
    """A loop over blocks.

    Attributes
    ----------
    reads : sequence of Value
        What the blocks read of the function that has the loop.
    parts : ir.Value
        Pointer to memory for what each block gives, `part_bytes` for each.
    part_bytes, n_blocks : ir.Value
    """

    reads: Sequence[Value]
    parts: ir.Value
    part_bytes: ir.Value
    n_blocks: ir.Value


def compute_blocks(emitter: Emitter, blocks: Blocks, write: WriteBlock) -> None:
    """Write the loop, and the call by which threads share it; leaves the function if a block does."""
    context, builder = emitter.context, emitter.builder
    captured = [*blocks.reads, Value(types.int64, builder.ptrtoint(blocks.parts, WORD))]
    captured.append(Value(types.int64, blocks.part_bytes))
    record = cgutils.pack_struct(builder, [each.value for each in captured])
    given = cgutils.alloca_once_value(builder, record)
    function, pieces = _function(emitter, [each.kind for each in captured], record.type, write)
    place = pieces.memory(builder)
    given = builder.bitcast(given, cgutils.voidptr_t)
    with builder.if_then(builder.not_(_is_shared(emitter, blocks.n_blocks, function, (given, place)))):
        arguments = [given, place, ZERO, blocks.n_blocks]
        status, _ = context.call_conv.call_function(builder, function, types.int64, _TAKEN, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)


def _function(
    emitter: Emitter, kinds: Sequence[types.Type], record: ir.Type, write: WriteBlock
) -> tuple[ir.Function, Pieces]:
    """Write the function, and tell what memory it needs."""
    convention, module = emitter.context.call_conv, emitter.builder.module
    name = module.get_unique_name(f"{emitter.builder.function.name}_blocks")
    function = ir.Function(module, convention.get_function_type(types.int64, _TAKEN), name)
    function.linkage = "linkonce_odr"  # as that of graphs (`inline/steps.py`)
    convention.decorate_function(function, ["reads", "place", "first", "end"], _TAKEN)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    reads, place, first, end = convention.decode_arguments(builder, _TAKEN, function)
    for pointer in (reads, place):
        pointer.add_attribute("noalias")
    pieces = Pieces(place)
    assert pieces.MOST * pieces.BYTES <= PLACE_BYTES  # which helpers have
    scratch = Scratch(pieces)
    inside = Emitter(emitter.context, builder, emitter.typing, scratch=scratch)
    given = builder.load(builder.bitcast(reads, record.as_pointer()))
    values = [Value(kind, value) for kind, value in zip(kinds, cgutils.unpack_tuple(builder, given), strict=True)]
    *values, parts, part_bytes = values
    memory = builder.inttoptr(parts.value, cgutils.voidptr_t)
    with cgutils.for_range_slice(builder, first, end, ONE) as (block, _):
        write(inside, values, block, builder.gep(memory, [builder.mul(block, part_bytes.value)], inbounds=True))
    scratch.release(inside.context, builder)
    convention.return_value(builder, ZERO)
    return function, pieces


def _is_shared(
    emitter: Emitter, n_blocks: ir.Value, function: ir.Function, given: tuple[ir.Value, ir.Value]
) -> ir.Value:
    """Let threads share the blocks, if there are any threads and blocks for them; whether they have, without an error.

    Where a block fails, all are done again by this thread alone, which finds the error of the first one.
    """
    builder = emitter.builder
    if emitter.teams is None:
        return cgutils.false_bit
    answer = cgutils.alloca_once_value(builder, cgutils.false_bit)
    is_helped = builder.icmp_unsigned("!=", emitter.teams, ZERO)
    with builder.if_then(builder.and_(is_helped, builder.icmp_unsigned(">", n_blocks, ONE)), likely=False):
        place = builder.inttoptr(builder.add(emitter.teams, WORD(SHARE)), WORD.as_pointer())
        share = ir.FunctionType(_STATUS, [WORD] * 5).as_pointer()
        addresses = [builder.ptrtoint(pointer, WORD) for pointer in (function, *given)]
        arguments = [emitter.teams, *addresses, n_blocks]
        status = builder.call(builder.inttoptr(builder.load(place), share), arguments)
        builder.store(builder.icmp_unsigned("==", status, _STATUS(0)), answer)
    return builder.load(answer)
