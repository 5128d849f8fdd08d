"""What LLVM is told of memory holds for each run of a loop: a function that is inlined twice reads what it wrote."""

import ctypes

import llvmlite.binding as llvm
import pytest
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from nutmill.model.fuse import _optimise
from nutmill.model.inline.arrays import ONE, WORD, Emitter, View
from nutmill.model.inline.loops import Memory, nest
from nutmill.native.processor import target

REAL, KIND = ir.DoubleType(), types.Array(types.float64, 1, "C")
POINTER = REAL.as_pointer()


def add_one(module):
    """The function new[:] = given[:] + 1, with our marks."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, POINTER, WORD]), "add_one")
    function.linkage = "internal"
    function.attributes.add("alwaysinline")
    builder = ir.IRBuilder(function.append_basic_block())
    emitter = Emitter(cpu_target.target_context, builder, cpu_target.typing_context)
    memory = Memory(emitter)
    *pointers, length = function.args
    given, new = (View(KIND, pointer, [length], [WORD(8)]) for pointer in pointers)
    with nest(emitter, [length]) as indices:
        memory.store_new(new, indices, builder.fadd(memory.load_given(given, indices), REAL(1.0)))
    builder.ret_void()
    return function


def run(module):
    machine = target().machine()
    optimised = llvm.parse_assembly(str(module))
    _optimise(optimised, machine)
    engine = llvm.create_mcjit_compiler(optimised, machine)
    call = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_int64)(engine.get_function_address("main"))
    return call(10.0, 1)


@pytest.fixture
def module():
    return ir.Module("twice")


def test_what_one_call_writes_the_next_one_reads(module):
    function = add_one(module)
    main = ir.Function(module, ir.FunctionType(REAL, [REAL, WORD]), "main")
    builder = ir.IRBuilder(main.append_basic_block())
    first, second, third = (builder.alloca(REAL, 64) for _ in range(3))
    builder.store(main.args[0], first)
    builder.call(function, [first, second, main.args[1]])
    builder.call(function, [second, third, main.args[1]])
    builder.ret(builder.load(third))
    assert run(module) == 12.0


def test_what_one_step_of_a_loop_writes_the_next_one_reads(module):
    """A loop hands what it has written to itself, as PyTensor's Scan does without a copy."""
    function = add_one(module)
    main = ir.Function(module, ir.FunctionType(REAL, [REAL, WORD]), "main")
    builder = ir.IRBuilder(main.append_basic_block("entry"))
    buffers = [builder.alloca(REAL, 64) for _ in range(2)]
    builder.store(main.args[0], buffers[0])
    entry, body, end = builder.block, main.append_basic_block("body"), main.append_basic_block("end")
    builder.branch(body)
    builder.position_at_end(body)
    step, given, new = builder.phi(WORD), builder.phi(POINTER), builder.phi(POINTER)
    builder.call(function, [given, new, main.args[1]])
    following = builder.add(step, ONE)
    for phi, start, later in ((step, WORD(0), following), (given, buffers[0], new), (new, buffers[1], given)):
        phi.add_incoming(start, entry)
        phi.add_incoming(later, body)
    builder.cbranch(builder.icmp_signed("<", following, WORD(8)), body, end)
    builder.position_at_end(end)
    builder.ret(builder.load(new))
    assert run(module) == 18.0
