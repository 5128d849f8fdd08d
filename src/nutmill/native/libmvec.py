"""Which functions of the C library have SIMD forms for a processor, and how loaded code finds them."""

import ctypes
from functools import cache

import llvmlite.binding as llvm

from nutmill.native.processor import Target, target

PREFIX = "nutmill_"

_LIBRARY = "libmvec.so.1"  # glibc's vector math; at most 4 ulp off, exact at infinities and NaN

# Functions of float64 that glibc has vector forms of (all of them since 2.35, the first five since 2.22).
ARITY = dict.fromkeys(("exp", "log", "sin", "cos"), 1) | {"pow": 2}
ARITY |= dict.fromkeys(("exp2", "exp10", "expm1", "log2", "log10", "log1p", "tan", "tanh", "sinh", "cosh"), 1)
ARITY |= dict.fromkeys(("asin", "acos", "atan", "asinh", "acosh", "atanh", "cbrt", "erf", "erfc"), 1)
ARITY |= {"atan2": 2, "hypot": 2}
# The same of float32.
SINGLE = {f"{name}f": arity for name, arity in ARITY.items()}
ARITY |= SINGLE

# Letter of the vector ABI, float64 values in a vector, and what the CPU must have, widest first.
_WIDTHS = (("e", 8, "avx512f"), ("d", 4, "avx2"), ("b", 2, "sse4.1"))


@cache
def available(made_for: Target | None = None) -> dict[str, tuple[str, ...]]:
    """Vector forms that a processor can run, by default this one, and that this machine's C library has.

    Names of vector symbols by the name of the scalar function, widest first; none where there is no libmvec (another
    operating system, another C library, another processor).
    """
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return {}
    features = (made_for or target()).features
    letters = [(letter, lanes) for letter, lanes, feature in _WIDTHS if feature in features]
    found = {}
    for name, arity in ARITY.items():
        values = 2 if name in SINGLE else 1
        symbols = (f"_ZGV{letter}N{lanes * values}{'v' * arity}_{name}" for letter, lanes in letters)
        present = tuple(symbol for symbol in symbols if _has(library, symbol))
        if present:
            found[name] = present
    return found


def lanes_of(symbol: str) -> int:
    """How many values a vector form takes, by its name."""
    return int(symbol.removeprefix("_ZGV")[2:].partition("v")[0])


def _has(library: ctypes.CDLL, symbol: str) -> bool:
    try:
        library[symbol]
    except AttributeError:
        return False
    return True


@cache
def load() -> None:
    """Make the symbols that annotated code refers to known to LLVM's engines in this process."""
    if not available():
        return
    llvm.load_library_permanently(_LIBRARY)
    scalar = ctypes.CDLL("libm.so.6")
    for name in available():
        llvm.add_symbol(PREFIX + name, ctypes.cast(scalar[name], ctypes.c_void_p).value)
