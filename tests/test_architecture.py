"""The page about the house: its tree is the one of now, and every function that it names is there."""

import ast
import re
from pathlib import Path

import pytest

from docs import tree

PACKAGE = Path(__file__).parents[1] / "src" / "nutmill"
NAMED = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", tree.PAGE.read_text().split("## The rooms")[0])))


def definitions(path):
    """Names of functions and classes of a module, and of methods as Class.method."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef))


def test_the_tree_is_that_of_now():
    assert tree.PAGE.read_text() == tree.page(), "the tree has changed: run `python docs/tree.py`"


def test_the_tree_has_every_file():
    drawn = tree.tree()
    assert all(f" {path.stem} " in drawn for path in PACKAGE.rglob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_functions_that_the_page_names_exist(file, name):
    assert name in set(definitions(PACKAGE / file)), f"docs/architecture.md names {file}:{name}"


def test_the_page_names_functions():
    assert len(NAMED) > 40
