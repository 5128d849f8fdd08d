"""Tells LLVM which functions of the C library have SIMD forms here, so that loops with them vectorise."""

import ctypes
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import llvmlite.binding as llvm

_LIBRARY = "libmvec.so.1"  # glibc's vector math; at most 4 ulp off, exact at infinities and NaN
_PREFIX = "nutmill_"

# Functions of float64 that glibc has vector forms of (all of them since 2.35, the first five since 2.22).
_ARITY = dict.fromkeys(("exp", "log", "sin", "cos"), 1) | {"pow": 2}
_ARITY |= dict.fromkeys(("exp2", "exp10", "expm1", "log2", "log10", "log1p", "tan", "tanh", "sinh", "cosh"), 1)
_ARITY |= dict.fromkeys(("asin", "acos", "atan", "asinh", "acosh", "atanh", "cbrt", "erf", "erfc"), 1)
_ARITY |= {"atan2": 2, "hypot": 2}

# Letter of the vector ABI, values in a vector, and what the CPU must have, widest first.
_WIDTHS = (("e", 8, "avx512f"), ("d", 4, "avx2"), ("b", 2, "sse4.1"))

_LANES = re.compile(r"_ZGV.N(\d+)v")
_FIRST_GROUP = 9000  # attribute groups are numbered; no module of Numba's gets as far

# A function where it is called or declared: an intrinsic of LLVM, maybe of vectors, or a name of C.
_SYMBOL = re.compile(r'@(?:llvm\.(?P<intrinsic>\w+)\.(?:v(?P<lanes>\d+))?f64|"?(?P<c>\w+)"?)(?=\()')


@cache
def available() -> dict[str, tuple[str, ...]]:
    """Vector forms that this CPU can run and this C library has.

    Returns
    -------
    dict of str to tuple of str
        Names of vector symbols by name of the scalar function, widest first; empty where there is no libmvec
        (another operating system, another C library, another processor).
    """
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return {}
    features = llvm.get_host_cpu_features()
    letters = [(letter, lanes) for letter, lanes, feature in _WIDTHS if features.get(feature)]
    found = {}
    for name, arity in _ARITY.items():
        symbols = (f"_ZGV{letter}N{lanes}{'v' * arity}_{name}" for letter, lanes in letters)
        present = tuple(symbol for symbol in symbols if _has(library, symbol))
        if present:
            found[name] = present
    return found


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
        llvm.add_symbol(_PREFIX + name, ctypes.cast(scalar[name], ctypes.c_void_p).value)


def annotate(ir_text: str, forms: Mapping[str, Sequence[str]] | None = None) -> str:
    """Give math functions in LLVM IR a declaration that names their vector forms.

    Calls of ``exp`` and of ``llvm.exp.f64`` become calls of ``nutmill_exp``. LLVM knows what ``exp`` means,
    and would turn it back into an intrinsic that it cannot vectorise; of ours it knows what we declare. Where
    Numba has vectorised already, ``llvm.exp.v8f64``, which would end as eight scalar calls, becomes the
    vector form itself.

    Parameters
    ----------
    ir_text : str
        A module in LLVM's text form, with opaque pointers, not yet optimised.
    forms : mapping of str to sequence of str, optional
        As `available` gives them, which is the default.

    Returns
    -------
    str
        The module to optimise; its code needs `load` before it runs. Where there are no forms, the same text.
    """
    forms = available() if forms is None else forms
    used: set[str] = set()

    def rename(match: re.Match) -> str:
        name = match["intrinsic"] or match["c"]
        symbols = {_LANES.match(symbol)[1]: symbol for symbol in forms.get(name, ())}
        symbol = symbols.get(match["lanes"]) if match["lanes"] else symbols and _PREFIX + name
        if not symbol:
            return match[0]
        used.add(name)
        return f"@{symbol}"

    lines = [_rename_in_line(line, rename) for line in ir_text.splitlines()]
    if not used:
        return ir_text
    return "\n".join([*(line for line in lines if line is not None), *_declare(sorted(used), forms), ""])


def _rename_in_line(line: str, rename: Callable[[re.Match], str]) -> str | None:
    """Rename the functions in a line; None drops the declaration of a function that we declare anew."""
    # Lines of globals may hold any text as constants, and call nothing.
    if line.startswith("@"):
        return line
    renamed = _SYMBOL.sub(rename, line)
    return None if renamed != line and line.startswith("declare") else renamed


def _declare(names: Sequence[str], forms: Mapping[str, Sequence[str]]) -> list[str]:
    """Declare functions with their vector forms, which must not be dropped before the vectoriser has run."""
    lines = []
    for group, name in enumerate(names, start=_FIRST_GROUP):
        lines += _declare_one(name, forms[name], group)
    kept = [f"ptr @{symbol}" for name in names for symbol in forms[name]]
    array = f"[{len(kept)} x ptr] [{', '.join(kept)}]"
    return [*lines, f'@llvm.compiler.used = appending global {array}, section "llvm.metadata"']


def _declare_one(name: str, symbols: Sequence[str], group: int) -> list[str]:
    arity = _ARITY[name]
    lines, mappings = [], []
    for symbol in symbols:
        lanes = int(_LANES.match(symbol)[1])
        lines.append(f"declare <{lanes} x double> @{symbol}({_repeat(f'<{lanes} x double>', arity)}) #{group}")
        mappings.append(f"_ZGV_LLVM_N{lanes}{'v' * arity}_{_PREFIX}{name}({symbol})")
    variants = f'"vector-function-abi-variant"="{",".join(mappings)}"'
    return [
        *lines,
        f"declare double @{_PREFIX}{name}({_repeat('double', arity)}) #{group}",
        f"attributes #{group} = {{ nounwind willreturn memory(none) {variants} }}",
    ]


def _repeat(text: str, times: int) -> str:
    return ", ".join([text] * times)
