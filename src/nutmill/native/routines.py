"""Routines that native code calls through slots: their names, and where SciPy keeps them; needs no compiler."""

import ctypes
import re
from functools import cache
from importlib import import_module

SLOT_PREFIX = "nutmill_blas_"
SPECIAL_PREFIX = "nutmill_special_"

# Fortran argument lists: c character, i 32-bit integer, d double, f float, each passed by address; p the data of an
# array; s an integer that the routine gives back. In SciPy's Cython modules every routine is an LP64 one.
BLAS = {
    "dgemv": "ciidpipidpi",
    "dgemm": "cciiidpipidpi",
    "sgemv": "ciifpipifpi",
    "sgemm": "cciiifpipifpi",
    "dtrsm": "cccciidpipi",
    "dsyrk": "cciidpidpi",
}
LAPACK = {
    "dpotrf": "cipis",
    "dpotri": "cipis",
    "dgetrf": "iipips",
    "dgetrs": "ciipippis",
    "dgetri": "ipippis",
    "dgtsv": "iippppis",
    "dsyevd": "ccipippipis",
    "dgeqrf": "iipippis",
    "dorgqr": "iiipippis",
}
ROUTINES: tuple[str, ...] = (*BLAS, *LAPACK)

# Special functions of float64, with the number of their arguments.
SPECIAL = dict.fromkeys(("erfcx", "erfinv", "erfcinv", "gamma", "gammaln", "psi", "j0", "j1", "i0", "i1"), 1)
SPECIAL |= dict.fromkeys(("i0e", "i1e"), 1)
SPECIAL |= dict.fromkeys(("gammainc", "gammaincc", "gammaincinv", "gammainccinv", "owens_t"), 2)
SPECIAL |= dict.fromkeys(("jv", "iv", "ive", "kv", "kve"), 2)
SPECIAL |= {"betainc": 3, "betaincinv": 3, "hyp2f1": 4}


def address(routine: str) -> int:
    """Address of one of `ROUTINES` in the BLAS that SciPy was built with, in the LP64 Fortran calling convention."""
    module = "cython_blas" if routine in BLAS else "cython_lapack"
    return _pointer(import_module(f"scipy.linalg.{module}").__pyx_capi__[routine])


@cache
def special_address(function: str) -> int:
    """Address of one of `SPECIAL` in SciPy: it takes doubles and an int that means nothing, and returns a double.

    Raises LookupError if this SciPy has no such form of the function.
    """
    functions = import_module("scipy.special.cython_special").__pyx_capi__
    doubles = ", ".join(["double"] * SPECIAL[function])
    wanted = f"double ({doubles}, int __pyx_skip_dispatch)".encode()
    # A function of several dtypes has one entry for each of them, with a number in its name.
    own = re.compile(rf"(__pyx_fuse_\d+)?{function}")
    found = [capsule for name, capsule in functions.items() if own.fullmatch(name) and _signature(capsule) == wanted]
    if not found:
        raise LookupError(f"SciPy's cython_special has no {function} of {SPECIAL[function]} doubles.")
    return _pointer(found[0])


def _signature(capsule: object) -> bytes:
    """C type of what a capsule holds, which is the capsule's name."""
    return _python("PyCapsule_GetName", ctypes.c_char_p, ctypes.py_object)(capsule)


def _pointer(capsule: object) -> int:
    return _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        capsule, _signature(capsule)
    )


@cache
def _python(name: str, result: type, *arguments: type):
    """One of Python's own C functions; a prototype, because others set the types of `ctypes.pythonapi`'s."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))
