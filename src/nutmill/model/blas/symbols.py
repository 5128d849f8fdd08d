"""Calls BLAS and LAPACK through one pointer slot a routine, so that each object can bind its own vendor."""

import ctypes
from functools import cache

import llvmlite.binding as ll
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nutmill.native.routines import (
    BLAS,
    LAPACK,
    ROUTINES,
    SLOT_PREFIX,
    SPECIAL,
    SPECIAL_PREFIX,
    address,
    special_address,
)

_INT32 = ir.IntType(32)
_POINTER = ir.IntType(8).as_pointer()


@cache
def declare_slots() -> dict[str, ctypes.c_void_p]:
    """Give every routine and special function a slot in this process, for code in Numba's own engine.

    Must run before Numba compiles or loads a lean op; later calls change nothing.

    Returns
    -------
    dict of str to ctypes.c_void_p
        The slots by symbol, holding SciPy's addresses; they live as long as the process.
    """
    slots = {SLOT_PREFIX + routine: ctypes.c_void_p(address(routine)) for routine in ROUTINES}
    slots |= {SPECIAL_PREFIX + function: ctypes.c_void_p(special_address(function)) for function in SPECIAL}
    for symbol, slot in slots.items():
        ll.add_symbol(symbol, ctypes.addressof(slot))
    return slots


def _by_address(context, builder, kind, numba_type, value):
    """Address of one Fortran argument: the data of an array, or a stack slot that holds the scalar."""
    if kind == "p":
        array = context.make_array(numba_type)(context, builder, value)
        return builder.bitcast(array.data, _POINTER)
    if kind == "d":
        scalar = context.cast(builder, value, numba_type, types.float64)
    else:
        wide = context.cast(builder, value, numba_type, types.int64)
        scalar = builder.trunc(wide, ir.IntType(8) if kind == "c" else _INT32)
    return builder.bitcast(cgutils.alloca_once_value(builder, scalar), _POINTER)


def _call_slot(builder, routine, pointers):
    """Load the routine's slot and call what it points at."""
    name = SLOT_PREFIX + routine
    slot = builder.module.globals.get(name) or cgutils.add_global_variable(builder.module, _POINTER, name)
    signature = ir.FunctionType(ir.VoidType(), [_POINTER] * len(pointers))
    builder.call(builder.bitcast(builder.load(slot), signature.as_pointer()), pointers)


def _routine(name: str):
    """Make the intrinsic that calls `name`; it takes the Fortran arguments, but returns a final `s`."""
    kinds = (BLAS | LAPACK)[name]
    gives_status = kinds.endswith("s")

    def codegen(context, builder, signature, values):
        scalars_and_arrays = cgutils.unpack_tuple(builder, values[0])
        arguments = zip(kinds, signature.args[0], scalars_and_arrays, strict=False)
        pointers = [_by_address(context, builder, *argument) for argument in arguments]
        if not gives_status:
            _call_slot(builder, name, pointers)
            return context.get_dummy_value()
        status = cgutils.alloca_once_value(builder, ir.Constant(_INT32, 0))
        _call_slot(builder, name, [*pointers, builder.bitcast(status, _POINTER)])
        return builder.load(status)

    def typer(typing_context, *arguments):
        result = types.int32 if gives_status else types.none
        return result(types.StarArgTuple(arguments)), codegen

    typer.__name__ = name
    return intrinsic(typer)


dgemv, dgemm, dtrsv, dtrsm, dpotrf, dgetrf, dgetrs, dgetri = (_routine(name) for name in ROUTINES)
