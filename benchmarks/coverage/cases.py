"""Expressions of PyTensor and distributions of PyMC, by subject, as they stand in two files of text.

Expressions are made of `x`, a vector of four positive numbers below one, `M`, a matrix of 3 x 3, `S`, a symmetric
positive definite one, `T`, a tridiagonal one, and `z`, a vector of two, which are parameters or depend on them; `n`,
counts, and `i`, indices, are data. Models have parameters `z`, of the real line, `p`, positive, and `u`, between 0 and
1; `y` are four observed numbers, `c` four that may be cut off at 0.2 or 1, `k` four counts.
"""

from pathlib import Path

_HERE = Path(__file__).parent


def expressions() -> dict[str, list[str]]:
    """Give all expressions by subject."""
    return _listed("expressions.txt")


def distributions() -> dict[str, list[str]]:
    """Give all distributions by subject."""
    return _listed("distributions.txt")


def _listed(name: str) -> dict[str, list[str]]:
    """Read headings, each with the lines below it."""
    subjects: dict[str, list[str]] = {}
    for line in (_HERE / name).read_text().splitlines():
        if line.startswith("# "):
            below = subjects[line[2:]] = []
        elif line:
            below.append(line)
    return subjects
