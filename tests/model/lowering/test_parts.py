"""Parts of structures of IR: what was put in is taken out as it was, and nothing else."""

import pytest
from llvmlite import ir
from llvmlite.ir.instructions import ExtractValue
from numba.core.registry import cpu_target

from nutmill.model.lowering.inline.arrays import WORD, Emitter, array_at, array_kind, part, view_of

MATRIX = array_kind("float64", 2)


@pytest.fixture
def emitter():
    """An emitter at the beginning of a function that takes an array by Numba's structure."""
    context = cpu_target.target_context
    kind = context.get_value_type(MATRIX)
    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), [kind, WORD, WORD]), "takes_an_array")
    return Emitter(context, ir.IRBuilder(function.append_basic_block()), cpu_target.typing_context)


def _instructions(emitter):
    return list(emitter.builder.block.instructions)


def test_array_made_in_sight_is_taken_apart_without_loads(emitter):
    given, *lengths = emitter.builder.function.args
    view = view_of(emitter, MATRIX, given)._replace(shape=lengths)
    made = array_at(emitter, view)
    before = _instructions(emitter)
    again = view_of(emitter, MATRIX, made)
    assert (again.data, again.shape) == (view.data, lengths)
    new = _instructions(emitter)[len(before) :]
    assert {instruction.opname for instruction in new} == {"mul"}  # strides follow from the shape
    assert not {"alloca", "load", "store"} & {instruction.opname for instruction in _instructions(emitter)}


def test_newest_part_counts(emitter):
    given, first, second = emitter.builder.function.args
    whole = emitter.builder.insert_value(emitter.builder.insert_value(given, first, (5, 1)), second, (5, 1))
    assert part(emitter, whole, 5, 1) is second
    other = part(emitter, whole, 5, 0)
    assert isinstance(other, ExtractValue) and other.aggregate is given


def test_part_that_was_put_in_as_a_whole_is_not_looked_past(emitter):
    given, first, _ = emitter.builder.function.args
    lengths = ir.Constant(ir.ArrayType(WORD, 2), [WORD(3), WORD(4)])
    whole = emitter.builder.insert_value(emitter.builder.insert_value(given, first, (5, 0)), lengths, 5)
    taken = part(emitter, whole, 5, 0)
    assert isinstance(taken, ExtractValue) and taken.aggregate is whole
    changed = emitter.builder.insert_value(given, first, (5, 0))
    assert part(emitter, changed, 5) is not first
