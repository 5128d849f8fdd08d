"""The process that `trial` starts: it loads one library, calls it, and prints what it is as JSON."""

import contextlib
import ctypes
import json
import sys

from nutmill.errors import LayoutError
from nutmill.layout.blas.library import BlasLibrary, open_library

# Large enough that libraries call the kernels, and the threads, that they have for large matrices.
_N = 160


def main(path: str, *runtimes: str) -> None:
    """Print what a library is, or a sentence on why it cannot be had."""
    for runtime in runtimes:
        with contextlib.suppress(OSError):
            ctypes.CDLL(runtime)
    try:
        library = open_library(path, "tried", wide=True)
        if library.integer_bits == 32:
            _call(library)
    except LayoutError as error:
        print(json.dumps({"failure": str(error)}))
        return
    names = ("integer_bits", "max_threads", "can_limit")
    print("\n" + json.dumps({"facts": library.as_dict() | {name: getattr(library, name) for name in names}}))


def _call(library: BlasLibrary) -> None:
    """Multiply and factorise matrices of whole numbers, whose results are known and exact."""
    triangle = (ctypes.c_double * _N**2)(*(float(row >= column) for column in range(_N) for row in range(_N)))
    # The product of the triangle of ones and its transpose.
    expected = [float(1 + min(row, column)) for column in range(_N) for row in range(_N)]
    found = (ctypes.c_double * _N**2)()
    n, one, zero = ctypes.c_int32(_N), ctypes.c_double(1.0), ctypes.c_double(0.0)
    _routine(library, "dgemm", b"N", b"T", n, n, n, one, triangle, n, triangle, n, zero, found, n)
    if list(found) != expected:
        raise LayoutError(f"{library.path} was tried and its dgemm gives wrong products, so it is not used.")
    with contextlib.suppress(LayoutError):  # BLIS has no LAPACK
        info = ctypes.c_int32(1)
        _routine(library, "dpotrf", b"L", n, found, n, info)
        lower = [found[column * _N + row] for column in range(_N) for row in range(column, _N)]
        if info.value != 0 or any(abs(value - 1.0) > 1e-8 for value in lower):
            raise LayoutError(f"{library.path} was tried and its dpotrf gives wrong factors, so it is not used.")


def _routine(library: BlasLibrary, name: str, *arguments) -> None:
    kept = [ctypes.c_char(argument) if isinstance(argument, bytes) else argument for argument in arguments]
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(kept))(library.address(name))
    function(*(ctypes.addressof(argument) for argument in kept))


if __name__ == "__main__":
    main(*sys.argv[1:])
