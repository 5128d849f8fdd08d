"""An operation of a graph as LLVM IR in the function that calls it: no function of its own for Numba to compile.

Numba takes about 35 CPU ms for each function, and PyTensor's Numba form of an elementwise operation has four or
more of them. IR that is written in place costs one or two.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nutmill.model.inline.arrays import Emitter


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


def as_function(operation: Operation) -> Callable:
    """Make the function that Numba code calls; calling it writes the operation in place."""

    def typer(typing_context, *operands):
        kinds = tuple(operands)

        def codegen(context, builder, signature, values):
            emitter = Emitter(context, builder, typing_context)
            unpacked = cgutils.unpack_tuple(builder, values[0], len(kinds))
            return operation.emit(emitter, kinds, unpacked)

        return operation.result(kinds)(types.StarArgTuple(kinds)), codegen

    typer.__name__ = operation.name
    return intrinsic(typer)
