"""Calls BLAS and LAPACK through one pointer slot a routine, so that each object can bind its own vendor."""

import ctypes
from functools import cache

import llvmlite.binding as ll
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

SLOT_PREFIX = "nutmill_blas_"

# Fortran argument lists: c character, i 32-bit integer, d double, each passed by address; p the data of an
# array; s an integer that the routine gives back. In SciPy's Cython modules every routine is an LP64 one.
_BLAS = {
    "dgemv": "ciidpipidpi",
    "dgemm": "cciiidpipidpi",
    "dtrsv": "cccipipi",
    "dtrsm": "cccciidpipi",
}
_LAPACK = {
    "dpotrf": "cipis",
    "dgetrf": "iipips",
    "dgetrs": "ciipippis",
    "dgetri": "ipippis",
}
ROUTINES: tuple[str, ...] = (*_BLAS, *_LAPACK)

_INT32 = ir.IntType(32)
_POINTER = ir.IntType(8).as_pointer()


def address(routine: str) -> int:
    """Address of `routine` in the BLAS that SciPy was built with.

    Parameters
    ----------
    routine : str
        One of `ROUTINES`, a Fortran name such as ``"dgemm"``.

    Returns
    -------
    int
        Address of a function with the LP64 Fortran calling convention.
    """
    module = "cython_blas" if routine in _BLAS else "cython_lapack"
    return get_cython_function_address(f"scipy.linalg.{module}", routine)


@cache
def declare_slots() -> dict[str, ctypes.c_void_p]:
    """Give every routine a slot in this process, holding SciPy's address, for code in Numba's own engine.

    Must run before Numba compiles or loads a lean op; later calls change nothing.

    Returns
    -------
    dict of str to ctypes.c_void_p
        The slots by routine name; they live as long as the process.
    """
    slots = {routine: ctypes.c_void_p(address(routine)) for routine in ROUTINES}
    for routine, slot in slots.items():
        ll.add_symbol(SLOT_PREFIX + routine, ctypes.addressof(slot))
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
    kinds = (_BLAS | _LAPACK)[name]
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
