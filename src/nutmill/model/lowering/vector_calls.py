"""Tells LLVM which math functions in a module have SIMD forms, so that loops with them vectorise."""

import re
from collections.abc import Callable, Mapping, Sequence

from nutmill.native.libmvec import ARITY, PREFIX, SINGLE, available, lanes_of

_FIRST_GROUP = 9000  # attribute groups are numbered; no module of Numba's gets as far

# A function where it is called or declared: an intrinsic of LLVM, maybe of vectors, or a name of C.
_SYMBOL = re.compile(r'@(?:llvm\.(?P<intrinsic>\w+)\.(?:v(?P<lanes>\d+))?f(?P<bits>32|64)|"?(?P<c>\w+)"?)(?=\()')


def annotate(ir_text: str, forms: Mapping[str, Sequence[str]] | None = None) -> str:
    """Give math functions in LLVM IR, which is not optimised yet, a declaration that names their vector forms.

    Calls of ``exp`` and of ``llvm.exp.f64`` become calls of ``nutmill_exp``. LLVM knows what ``exp`` means, and would
    turn it back into an intrinsic that it cannot vectorise; of ours it knows what we declare. Where Numba has
    vectorised already, ``llvm.exp.v8f64``, which would end as eight scalar calls, becomes the vector form itself.
    `forms` are those of `native.libmvec.available`; where there are none the text stays the same. Code of the new text
    needs `native.libmvec.load` before it runs.
    """
    forms = available() if forms is None else forms
    used: set[str] = set()

    def rename(match: re.Match) -> str:
        name = match["c"] or match["intrinsic"] + ("f" if match["bits"] == "32" else "")
        symbols = {str(lanes_of(symbol)): symbol for symbol in forms.get(name, ())}
        symbol = symbols.get(match["lanes"]) if match["lanes"] else symbols and PREFIX + name
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
    arity, kind = ARITY[name], "float" if name in SINGLE else "double"
    lines, mappings = [], []
    for symbol in symbols:
        lanes = lanes_of(symbol)
        vector = f"<{lanes} x {kind}>"
        lines.append(f"declare {vector} @{symbol}({_repeat(vector, arity)}) #{group}")
        mappings.append(f"_ZGV_LLVM_N{lanes}{'v' * arity}_{PREFIX}{name}({symbol})")
    variants = f'"vector-function-abi-variant"="{",".join(mappings)}"'
    return [
        *lines,
        f"declare {kind} @{PREFIX}{name}({_repeat(kind, arity)}) #{group}",
        f"attributes #{group} = {{ nounwind willreturn memory(none) {variants} }}",
    ]


def _repeat(text: str, times: int) -> str:
    return ", ".join([text] * times)
