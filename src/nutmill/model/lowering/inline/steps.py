"""Writes the operations of a graph one after the other, and gives the memory of each result back after its last use.

Numba would do both from Python source, at 25 CPU ms a line and more in long functions.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph

from nutmill.model.lowering.inline.arrays import WORD, Emitter, Value, View, array_at, load, view_of
from nutmill.model.lowering.inline.operation import Operation
from nutmill.model.lowering.inline.step_memory import LINE, Pieces

_LARGE = 1_000_000  # bytes of a constant from which on Numba keeps only where it lies

# What the function of a program takes after its inputs: where outputs go, memory for small arrays, and the teams.
_TAKEN = (types.voidptr, types.voidptr, types.int64)


class Step(NamedTuple):
    """One operation, and what becomes of what it reads and gives."""

    operation: Operation
    operands: Sequence[Variable]
    results: Sequence[Variable]
    stays: Sequence[bool]  # for each result whether it does not outlive the function, whoever may see it
    is_shown: bool  # whether an operation that is not ours may see a result: one in Python may keep it
    numbers: Sequence[Variable]  # results, arrays without axes, that the function gives as numbers
    # What no later step needs: operands that were results of earlier steps, and own results.
    finished: Sequence[Variable]


class Program(NamedTuple):
    """A graph in the order in which it is computed."""

    inputs: Sequence[Variable]
    steps: Sequence[Step]
    outputs: Sequence[Variable]


# Puts the graph that an operation repeats in order, and says for each output whether it may share memory with an input.
StepProgram = Callable[[FunctionGraph], tuple[Program, list[bool]]]


def program_function(program: Program) -> Callable:
    """Make the function that Numba code calls: (*inputs) -> tuple of outputs, written in place."""

    def typer(typing_context, *operands):
        kinds = _kinds(program, operands)

        def codegen(context, builder, signature, values):
            emitter = Emitter(context, builder, typing_context)
            arguments = cgutils.unpack_tuple(builder, values[0], len(operands))
            given = _write(program, kinds, emitter, arguments)
            return context.make_tuple(builder, signature.return_type, given)

        result = types.Tuple([kinds[variable] for variable in program.outputs])
        return result(types.StarArgTuple(operands)), codegen

    return intrinsic(typer)


def call_program(
    program: Program, emitter: Emitter, kinds: Sequence[types.Type], arguments: Sequence[ir.Value]
) -> list[Value]:
    """Write a program as a function of its own, and call it: kind and IR of each output, which the caller owns.

    The function stores them one by one: LLVM's passes take a time that grows with the square of a returned tuple.
    """
    all_kinds = _kinds(program, kinds)
    given = [all_kinds[variable] for variable in program.outputs]
    context, builder = emitter.context, emitter.builder
    stored = ir.LiteralStructType([context.get_value_type(kind) for kind in given])
    place = cgutils.alloca_once(builder, stored)
    function, pieces = _function_of(program, emitter, all_kinds, stored)
    words = [builder.bitcast(place, cgutils.voidptr_t), pieces.memory(builder), emitter.teams or WORD(0)]
    kinds = [*kinds, *_TAKEN]
    status, _ = context.call_conv.call_function(builder, function, types.int64, kinds, [*arguments, *words])
    with cgutils.if_unlikely(builder, status.is_error):
        context.call_conv.return_status_propagate(builder, status)
    return [
        Value(kind, builder.load(cgutils.gep_inbounds(builder, place, 0, number))) for number, kind in enumerate(given)
    ]


def _function_of(
    program: Program, emitter: Emitter, kinds: Mapping[Variable, types.Type], stored: ir.Type
) -> tuple[ir.Function, Pieces]:
    """Write the function that stores a program's outputs, and tell what memory it asks for."""
    convention, module = emitter.context.call_conv, emitter.builder.module
    # Under a name of its own in Numba's engine; of this linkage, LLVM optimises it before it is part of the caller.
    name = f"{emitter.builder.function.name}_graph"
    taken = [*(kinds[variable] for variable in program.inputs), *_TAKEN]
    function = ir.Function(module, convention.get_function_type(types.int64, taken), name)
    function.linkage = "linkonce_odr"
    convention.decorate_function(function, [f"input_{i}" for i in range(len(taken))], taken)
    function.args[-len(_TAKEN)].add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    *given, place, memory, teams = convention.decode_arguments(builder, taken, function)
    pieces = Pieces(memory)
    outputs = _write(program, kinds, emitter._replace(builder=builder, pieces=pieces, teams=teams), given)
    place = builder.bitcast(place, stored.as_pointer())
    for number, output in enumerate(outputs):
        builder.store(output, cgutils.gep_inbounds(builder, place, 0, number))
    convention.return_value(builder, WORD(0))
    return function, pieces


def write_program(
    program: Program, emitter: Emitter, kinds: Sequence[types.Type], arguments: Sequence[ir.Value]
) -> list[Value]:
    """Write a program where the emitter stands: kind and IR of each output, as references that the caller owns."""
    all_kinds = _kinds(program, kinds)
    outputs = _write(program, all_kinds, emitter, arguments)
    return [Value(all_kinds[variable], value) for variable, value in zip(program.outputs, outputs, strict=True)]


def _kinds(program: Program, given: Sequence[types.Type]) -> dict[Variable, types.Type]:
    """Numba type of each variable."""
    kinds = dict(zip(program.inputs, given, strict=True))
    for step in program.steps:
        operands = [kinds.get(v) or kinds.setdefault(v, _constant_kind(v)) for v in step.operands]
        result = step.operation.result(operands)
        results = [result] if len(step.results) == 1 else result.types
        kinds.update(zip(step.results, results, strict=True))
        kinds.update({variable: kinds[variable].dtype for variable in step.numbers})
    for variable in program.outputs:
        if isinstance(variable, Constant):
            kinds[variable] = _constant_kind(variable)
    return kinds


def _constant_kind(constant: Constant) -> types.Type:
    kind = cpu_target.typing_context.resolve_value_type(_held(constant))
    return kind.copy(readonly=True) if isinstance(kind, types.Array) else kind


def _held(constant: Constant) -> object:
    """What the code is to hold: all of an array that is a view backwards or with gaps."""
    data = constant.data
    is_view = isinstance(data, np.ndarray) and not (data.flags.c_contiguous or data.flags.f_contiguous)
    return data.copy() if is_view else data


def _write(
    program: Program, kinds: Mapping[Variable, types.Type], emitter: Emitter, arguments: Sequence[ir.Value]
) -> list[ir.Value]:
    """Write all steps; returns the outputs as references that the caller owns."""
    values = dict(zip(program.inputs, arguments, strict=True))
    owned: set[Variable] = set()
    for step in program.steps:
        _write_constants(emitter, step.operands, kinds, values)
        pieces = None if step.is_shown else emitter.pieces
        _write_step(step, kinds, emitter._replace(stays=step.stays, pieces=pieces), values)
        owned.update(v for v in step.results if v not in step.numbers)
        for variable in step.finished:
            emitter.context.nrt.decref(emitter.builder, kinds[variable], values.pop(variable))
            owned.remove(variable)
    _write_constants(emitter, program.outputs, kinds, values)
    for variable in program.outputs:
        if variable in owned:
            owned.remove(variable)
        else:
            emitter.context.nrt.incref(emitter.builder, kinds[variable], values[variable])
    return [values[variable] for variable in program.outputs]


def _write_constants(emitter: Emitter, variables: Sequence[Variable], kinds: Mapping, values: dict) -> None:
    for variable in variables:
        if isinstance(variable, Constant) and variable not in values:
            values[variable] = _constant(emitter, kinds[variable], _held(variable))


def _constant(emitter: Emitter, kind: types.Type, data: object) -> ir.Value:
    """A constant that lies in the code; of a large array, Numba would keep the address, not the array.

    A single number's array Numba makes by way of memory, of which LLVM has to look through thousands of stores.
    """
    builder = emitter.builder
    if not isinstance(data, np.ndarray) or (data.nbytes < _LARGE and data.ndim > 0):
        return emitter.context.get_constant_generic(builder, kind, data)
    whole = cgutils.create_constant_array(ir.IntType(8), bytearray(data.tobytes(order=kind.layout)))
    place = cgutils.global_constant(builder, ".const.array.data", whole)
    place.align = LINE
    shape, strides = ([WORD(number) for number in numbers] for numbers in (data.shape, data.strides))
    pointer = builder.bitcast(place, emitter.context.get_data_type(kind.dtype).as_pointer())
    return array_at(emitter, View(kind, pointer, shape, strides))


def _write_step(step: Step, kinds: Mapping[Variable, types.Type], emitter: Emitter, values: dict) -> None:
    operand_kinds = [kinds[v] for v in step.operands]
    value = step.operation.emit(emitter, operand_kinds, [values[v] for v in step.operands])
    single = len(step.results) == 1
    whole = [value] if single else value
    given = whole if isinstance(whole, list) else cgutils.unpack_tuple(emitter.builder, whole, len(step.results))
    values.update(zip(step.results, given, strict=True))
    if step.numbers:
        result = step.operation.result(operand_kinds)
        array_kinds = dict(zip(step.results, [result] if single else result.types, strict=True))
        for variable in step.numbers:
            values[variable] = _as_number(emitter, array_kinds[variable], values[variable])


def _as_number(emitter: Emitter, kind: types.Array, value: ir.Value) -> ir.Value:
    """Load what an array without axes holds, and give the array back."""
    number = load(emitter, view_of(emitter, kind, value), [])
    emitter.context.nrt.decref(emitter.builder, kind, value)
    return number
