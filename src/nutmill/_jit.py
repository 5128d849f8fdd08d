"""How Numba compiles our kernels: a decorator for control flow, one for vector loops, one for tuples."""

from collections.abc import Callable

from numba import njit
from numba.core.compiler import Flags

# Compiled code never raises, so there is no division check to leave in; no GIL, so that chains run in
# threads; no reference counts, because compiled code makes no array, and no wrappers, because only the entry
# points are called from outside: this halves the time of the compiler.
_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "no_cpython_wrapper": True,
    "_nrt": False,
}

# Sums may be reordered, so that they vectorise; NaN and infinities keep their meaning, because they are how a
# divergence shows. The order depends on the machine and the length of the vector, never on threads or blocks.
_SUMS = {"reassoc", "contract", "nsz"}

kernel = njit(**_OPTIONS)


def vector_kernel(function: Callable) -> Callable:
    """Compile a loop over vectors: none that is written may overlap another argument, as LLVM is told."""
    compiled = njit(fastmath=_SUMS, **_OPTIONS)(function)
    # A flag that Numba gives its own parallel loops, and no option of `njit`. Without it each loop begins by comparing
    # addresses, and one over many vectors does not vectorise at all.
    compiled._compiler._customize_flags = _without_aliases
    return compiled


def _without_aliases(flags: Flags) -> Flags:
    flags.noalias = True
    return flags


# For functions that build a tuple of records or arrays, which cannot be returned: copied into their callers.
inlined_kernel = njit(inline="always", **_OPTIONS)
