"""An operation of a graph as LLVM IR in the function that calls it: no function of its own for Numba to compile.

Numba takes about 35 CPU ms for each function, and PyTensor's Numba form of an elementwise operation has four or
more of them. IR that is written in place costs one or two.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nutmill.model.inline.arrays import Emitter, load, view_of


class Operation(NamedTuple):
    """What to write where an operation is called.

    Attributes
    ----------
    name : str
    result : callable
        (Numba types of the operands) -> Numba type of the result.
    emit : callable
        (Emitter, types of the operands, IR values of the operands) -> IR value of the result, as a reference that
        the caller owns.
    """

    name: str
    result: Callable[[Sequence[types.Type]], types.Type]
    emit: Callable


def as_function(operation: Operation, *, stays: Sequence[bool], numbers: Sequence[bool] = ()) -> Callable:
    """Make the function that Numba code calls; calling it writes the operation in place.

    Parameters
    ----------
    operation : Operation
    stays : sequence of bool
        For each result whether it does not outlive the function that calls it.
    numbers : sequence of bool
        Which of the results, arrays without axes, are given as numbers; none if it is empty.
    """

    def typer(typing_context, *operands):
        kinds = tuple(operands)

        def codegen(context, builder, signature, values):
            emitter = Emitter(context, builder, typing_context, stays)
            unpacked = cgutils.unpack_tuple(builder, values[0], len(kinds))
            value = operation.emit(emitter, kinds, unpacked)
            return _as_numbers(emitter, operation.result(kinds), value, numbers) if numbers else value

        given = operation.result(kinds)
        result = _with_numbers(given, numbers) if numbers else given
        return result(types.StarArgTuple(kinds)), codegen

    typer.__name__ = operation.name
    return intrinsic(typer)


def _with_numbers(given: types.Type, numbers: Sequence[bool]) -> types.Type:
    kinds = [given] if len(numbers) == 1 else list(given.types)
    kinds = [kind.dtype if number else kind for kind, number in zip(kinds, numbers, strict=True)]
    return kinds[0] if len(kinds) == 1 else types.Tuple(kinds)


def _as_numbers(emitter: Emitter, given: types.Type, value: ir.Value, numbers: Sequence[bool]) -> ir.Value:
    """Load the results that are to be numbers, and give their arrays back."""
    single = len(numbers) == 1
    kinds = [given] if single else list(given.types)
    values = [value] if single else cgutils.unpack_tuple(emitter.builder, value, len(kinds))
    loaded = []
    for kind, each, number in zip(kinds, values, numbers, strict=True):
        loaded.append(load(emitter, view_of(emitter, kind, each), []) if number else each)
        if number:
            emitter.context.nrt.decref(emitter.builder, kind, each)
    if single:
        return loaded[0]
    return emitter.context.make_tuple(emitter.builder, _with_numbers(given, numbers), loaded)
