"""How Numba compiles our kernels: a decorator for control flow, one for loops over vectors, one for named tuples."""

from numba import njit

# Compiled code never raises, so there is no division check to leave in; no GIL, so that chains run in threads.
_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "no_cpython_wrapper": True,
    "_nrt": False,
}

# Sums may be reordered, so that they vectorise; NaN and infinities keep their meaning, because they are how a
# divergence shows. The order depends on the machine and on the length of the vector, never on threads or blocks.
_SUMS = {"reassoc", "contract", "nsz"}

kernel = njit(**_OPTIONS)
vector_kernel = njit(fastmath=_SUMS, **_OPTIONS)

# A tuple that holds records cannot be returned, so the functions that build one are copied into their callers.
inlined_kernel = njit(inline="always", **_OPTIONS)
