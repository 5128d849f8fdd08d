"""An operation of a graph as LLVM IR in the function that needs it: no function of its own for Numba to compile.

Numba takes about 35 CPU ms for each function, and PyTensor's Numba form of an elementwise operation has four or
more of them. IR that is written in place costs one or two.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils, typing
from numba.core.registry import cpu_target

from nutmill.model.lowering.inline.arrays import WORD, Emitter


class Operation(NamedTuple):
    """What to write where an operation is needed."""

    # (Numba types of the operands) -> Numba type of the result, a tuple if there are several.
    result: Callable[[Sequence[types.Type]], types.Type]
    # (Emitter, types of the operands, IR values of the operands) -> IR value of the result, as a reference that the
    # caller owns; of several results a tuple, or a list of their values.
    emit: Callable


def kind_of_results(kinds: Sequence[types.Type]) -> types.Type:
    """Numba type of what an operation gives: that of its result, or a tuple of those of several."""
    return kinds[0] if len(kinds) == 1 else types.Tuple(kinds)


def one_or_several(values: Sequence[ir.Value]) -> ir.Value | list[ir.Value]:
    """What an operation gives: its result, or a list of several, as LLVM takes long to part a long tuple again."""
    return values[0] if len(values) == 1 else list(values)


def call_of(function: Callable, n_results: int) -> Operation:
    """Write a call of a function that Numba compiles; several results may come in a list, as those of `Split` do."""

    def signature(kinds: Sequence[types.Type]) -> typing.Signature:
        context = cpu_target.typing_context
        return context.resolve_function_type(context.resolve_value_type(function), tuple(kinds), {})

    def result(kinds: Sequence[types.Type]) -> types.Type:
        kind = signature(kinds).return_type
        return types.UniTuple(kind.dtype, n_results) if isinstance(kind, types.List) else kind

    def emit(emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        wanted = signature(kinds)
        given = list(zip(kinds, values, strict=True))
        implementation = emitter.context.get_function(emitter.typing.resolve_value_type(function), wanted)
        value = implementation(emitter.builder, _folded(emitter, wanted, given))
        is_list = isinstance(wanted.return_type, types.List)
        return _unpacked(emitter, wanted.return_type, value, n_results) if is_list else value

    return Operation(result, emit)


def _folded(emitter: Emitter, wanted: typing.Signature, given: Sequence[tuple[types.Type, ir.Value]]) -> Sequence:
    """Arguments as Python binds them: by position, left to their defaults, or gathered in a tuple."""

    def bound(position: int, parameter, one: tuple[types.Type, ir.Value]) -> ir.Value:
        return _cast(emitter, *one, wanted.args[position])

    def left_out(position: int, parameter, default) -> ir.Value:
        return emitter.context.get_constant_generic(emitter.builder, wanted.args[position], default)

    def gathered(position: int, parameter, several: Sequence[tuple[types.Type, ir.Value]]) -> ir.Value:
        kinds = wanted.args[position].types
        values = [_cast(emitter, *one, kind) for one, kind in zip(several, kinds, strict=True)]
        return cgutils.make_anonymous_struct(emitter.builder, values)

    return typing.fold_arguments(wanted.pysig, given, {}, bound, left_out, gathered)


def _unpacked(emitter: Emitter, kind: types.List, value: ir.Value, count: int) -> ir.Value:
    """The first elements of a list as a tuple, and the list given back."""
    context, builder = emitter.context, emitter.builder
    wanted = kind.dtype(kind, types.int64)
    elements = [context.compile_internal(builder, _element, wanted, (value, WORD(number))) for number in range(count)]
    context.nrt.decref(builder, kind, value)
    return context.make_tuple(builder, types.UniTuple(kind.dtype, count), elements)


def _element(elements, number):
    return elements[number]


def _cast(emitter: Emitter, kind: types.Type, value: ir.Value, wanted: types.Type) -> ir.Value:
    return emitter.context.cast(emitter.builder, value, kind, wanted)
