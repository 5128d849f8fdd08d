"""Functions that are written once: for the same work on the same kinds, and for nothing else."""

import pytest
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from nutmill.model.lowering.inline.arrays import WORD, Emitter, Value
from nutmill.model.lowering.inline.own_functions import call_own


@pytest.fixture
def emitter():
    """An emitter at the beginning of a function in Numba's calling convention."""
    context, module = cpu_target.target_context, ir.Module()
    function = ir.Function(module, context.call_conv.get_function_type(types.int64, []), "caller")
    context.call_conv.decorate_function(function, [], [])
    return Emitter(context, ir.IRBuilder(function.append_basic_block()), cpu_target.typing_context)


@pytest.mark.parametrize(
    ("what", "kind", "n_functions"), [("add", types.int64, 1), ("take", types.int64, 2), ("add", types.int32, 2)]
)
def test_one_function_for_the_same_work_on_the_same_kinds(emitter, what, kind, n_functions):
    written = []

    def write(inside, given):
        written.append([value.type for value in given])
        inside.context.call_conv.return_value(inside.builder, WORD(0))

    call_own(emitter, "add", types.int64, [Value(types.int64, WORD(3))], write)
    other = Value(kind, ir.IntType(kind.bitwidth)(4))
    call_own(emitter, what, types.int64, [other], write)
    own = [f for f in emitter.builder.module.functions if f.name != "caller" and not f.is_declaration]
    assert len(own) == len(written) == n_functions
    assert written[-1] == [other.value.type]
