"""docs/operations.md, from what was found on each line of PyTensor."""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.coverage.cases import distributions, expressions

_HERE = Path(__file__).parent
PAGE = _HERE.parents[1] / "docs" / "operations.md"
LINES = {"2": "PyTensor 2 (PyMC 5)", "3": "PyTensor 3 (PyMC 6)"}
# How a way is said; {} are operations, or why there is nothing.
_SAID = {
    "own": "own",
    "Numba": "Numba form of {}",
    "pointer": "unfused: {} looks something up in Python",
    "Python": "**in Python**: {}",
    "refused": "refused: {}",
    "missing": "not in this PyTensor or PyMC",
    "WRONG": "**wrong**: {}",
    "failed": "**fails**: {}",
    "untried": "not tried yet",
}
_TOP = """# Operations and distributions

What happens to each operation of PyTensor and each distribution of PyMC when a model is compiled. Each line was tried:
compiled in a small model, its log density and gradient compared with those of PyTensor's interpreter. To see it for a
model of yours: `compile_model(model).report()`, or `nutmill explain`.

- **own**: written by nutmill as LLVM IR, and linked with the sampler.
- **Numba form of** an operation: PyTensor's form is compiled into the same object. It samples as natively, takes up to
  some seconds more to compile, and may be slower.
- **unfused**: native, but called through a pointer, because the form looks up an address in Python. It cannot be saved.
- **in Python**: the interpreter runs it, once a gradient, with one chain at a time. nutmill warns of it.
- **refused**: there is no gradient, which NUTS needs, or no density at all. The reason is PyTensor's or PyMC's.

What nutmill does not mend: functions that PyTensor has no gradient for; complex numbers; `pm.Simulator`, black boxes
and `pm.ode`, which are Python by nature. Write an ODE with fixed steps as a `scan`, or in closed form
with `pt.linalg.expm`.

In expressions, `x` is a vector of four numbers below one, `M` a matrix of 3 x 3, `S` a positive definite and `T` a
tridiagonal one, all of parameters; `n` and `i` are integers of data. In distributions, `z`, `p` and `u` are parameters
of the real line, positive, and between 0 and 1; `y` and `c` are observed numbers, `k` observed counts.

Written by `python -m benchmarks.coverage`, run with {versions}. A test keeps it.
"""


def keep(found: Mapping[str, Sequence[str]]) -> None:
    """Write down what was found on this line of PyTensor, beside what was found before."""
    line = version("pytensor").partition(".")[0]
    before = kept(line)["found"] if _results(line).exists() else {}
    listed = [written for subject in _subjects().values() for written in subject]
    together = {written: (before | found)[written] for written in listed if written in before or written in found}
    rows = ",\n".join(f"{json.dumps(written)}: {json.dumps(list(one))}" for written, one in together.items())
    versions = json.dumps(f"PyTensor {version('pytensor')} and PyMC {version('pymc')}")
    _results(line).write_text(f'{{"versions": {versions}, "found": {{\n{rows}\n}}}}\n')


def kept(line: str) -> dict:
    """Give what was found on a line of PyTensor: expression to way, and what is said of it."""
    return json.loads(_results(line).read_text())


def write() -> None:
    """Write the page."""
    PAGE.write_text(text())


def text() -> str:
    """Give the page as Markdown."""
    facts = {line: kept(line) for line in LINES if _results(line).exists()}
    parts = [_TOP.format(versions="; ".join(one["versions"] for one in facts.values()))]
    for subject, listed in _subjects().items():
        parts.append("\n".join([f"## {subject}\n", *_table(listed, [one["found"] for one in facts.values()])]) + "\n")
    return "\n".join(parts)


def _subjects() -> dict[str, list[str]]:
    return expressions() | distributions()


def _table(listed: Sequence[str], found: Sequence[Mapping]) -> Iterator[str]:
    yield f"| | {' | '.join(LINES.values())} |"
    yield f"|---|{'---|' * len(LINES)}"
    for written in listed:
        said = [_said(*one.get(written, ("untried", ""))) for one in found]
        yield f"| `{written}` | {' | '.join(said)} |"


def _said(way: str, names: str) -> str:
    return _SAID[way].format(names.replace("|", " ").replace("<", "").replace(">", ""))


def _results(line: str) -> Path:
    return _HERE / f"pytensor-{line}.json"
