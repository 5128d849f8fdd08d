"""Draws rooms and files of the package with their first sentences; `python docs/tree.py` writes docs/architecture.md.

With `--print` it only prints the tree. A test keeps the page equal to what this prints.
"""

import ast
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = _ROOT / "src" / "nutmill"
PAGE = _ROOT / "docs" / "architecture.md"
_BEGIN, _END = "<!-- tree: written by `python docs/tree.py` -->\n", "<!-- end of the tree -->\n"
_WIDTH = 120


def first_sentence(path: Path) -> str:
    """Give the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def lines(folder: Path = _PACKAGE, depth: int = 0) -> Iterator[str]:
    """Yield the lines of the tree: a room's files, then the rooms in it, each with its sentence."""
    yield from _entry(f"{folder.name}/", first_sentence(folder / "__init__.py"), depth)
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            yield from _entry(path.stem, first_sentence(path), depth + 1)
    for room in sorted(path for path in folder.iterdir() if (path / "__init__.py").is_file()):
        yield from lines(room, depth + 1)


def _entry(name: str, sentence: str, depth: int) -> list[str]:
    head = f"{'  ' * depth}{name}"
    return textwrap.wrap(f"{head:<26} {sentence}", _WIDTH, subsequent_indent=" " * 27, drop_whitespace=True) or [head]


def tree() -> str:
    """Draw the tree as a block of Markdown."""
    return "```text\n" + "".join(f"{line}\n" for line in lines()) + "```\n"


def page() -> str:
    """Write the page with the tree of now."""
    before, rest = PAGE.read_text().split(_BEGIN)
    return before + _BEGIN + tree() + _END + rest.split(_END)[1]


if __name__ == "__main__":
    if "--print" in sys.argv:
        print(tree(), end="")
    else:
        PAGE.write_text(page())
