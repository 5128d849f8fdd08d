"""What LLVM is told of memory holds for one run of a loop: what is written there is read by whatever comes after it."""

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from nutmill.model.lowering.fuse import _optimise
from nutmill.model.lowering.inline.arrays import ONE, WORD, ZERO, Emitter, View
from nutmill.model.lowering.inline.loops import Memory
from nutmill.native.processor import target

REAL, KIND = ir.DoubleType(), types.Array(types.float64, 1, "C")
POINTER = REAL.as_pointer()


@pytest.fixture
def module():
    """A function that writes given[0] + 1 to new[0], as a loop of ours does."""
    module = ir.Module("marked")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, POINTER]), "add_one")
    function.linkage = "internal"
    function.attributes.add("alwaysinline")
    builder = ir.IRBuilder(function.append_basic_block())
    memory = Memory(Emitter(cpu_target.target_context, builder, cpu_target.typing_context))
    given, new = (View(KIND, pointer, [ONE], [WORD(8)]) for pointer in function.args)
    memory.store_new(new, [ZERO], builder.fadd(memory.load_given(given, [ZERO]), REAL(1.0)))
    builder.ret_void()
    return module


def begun(module):
    """A function of four pointers; LLVM does not see that the third is the second. It loads from there at once."""
    main = ir.Function(module, ir.FunctionType(REAL, [POINTER] * 4), "main")
    builder = ir.IRBuilder(main.append_basic_block())
    return builder, main.args, builder.load(main.args[2])


def assert_runs(module, builder, before):
    """Each call reads what the one before it has written, and not what was there at first."""
    builder.ret(builder.fadd(builder.load(builder.function.args[3]), before))
    machine = target().machine()
    optimised = llvm.parse_assembly(str(module))
    _optimise(optimised, machine)
    engine = llvm.create_mcjit_compiler(optimised, machine)
    call = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_void_p] * 4)(engine.get_function_address("main"))
    numbers = np.array([10.0, 500.0, 0.0])
    first, second, third = (numbers.ctypes.data + 8 * place for place in range(3))
    assert call(first, second, second, third) == 500.0 + 12.0
    np.testing.assert_array_equal(numbers, [10.0, 11.0, 12.0])


def test_what_one_call_writes_the_next_one_reads(module):
    builder, pointers, before = begun(module)
    for pair in (pointers[:2], pointers[2:]):
        builder.call(module.get_global("add_one"), pair)
    assert_runs(module, builder, before)


def test_what_one_step_writes_the_next_one_reads(module):
    """A loop hands what it has written to itself, as PyTensor's Scan does without a copy; LLVM unrolls it."""
    builder, pointers, before = begun(module)
    entry = builder.block
    body, end = (builder.function.append_basic_block() for _ in range(2))
    builder.branch(body)
    builder.position_at_end(body)
    step = builder.phi(WORD)
    is_first = builder.icmp_signed("==", step, ZERO)
    pair = [builder.select(is_first, *each) for each in zip(pointers[:2], pointers[2:], strict=True)]
    builder.call(module.get_global("add_one"), pair)
    following = builder.add(step, ONE)
    step.add_incoming(ZERO, entry)
    step.add_incoming(following, body)
    builder.cbranch(builder.icmp_signed("<", following, WORD(2)), body, end)
    builder.position_at_end(end)
    assert_runs(module, builder, before)
