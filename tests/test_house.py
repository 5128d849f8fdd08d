"""Keeps rooms small: the length of files and functions, their arguments, a sentence at the top of each."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "benchmarks", "docs", "tuning")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

MAX_FILE_LINES = 299
MAX_BODY_LINES = 39
MAX_ARGUMENTS = 6

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def docstring_lines(node):
    if not isinstance(node, DOCUMENTED) or ast.get_docstring(node) is None:
        return 0
    return node.body[0].end_lineno - node.body[0].lineno + 1


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def body_lines(function):
    """Lines of a function without its signature, its docstring, and the docstrings within it."""
    inner = sum(docstring_lines(node) for node in ast.walk(function))
    return function.end_lineno - function.body[0].lineno + 1 - inner


def test_the_house_is_looked_at():
    assert len(FILES) > 50


def broken_rules(text):
    """What a file breaks, in sentences."""
    tree = ast.parse(text)
    sentence = ast.get_docstring(tree) or ""
    if not sentence.split("\n\n")[0].rstrip().endswith((".", ":")):
        yield "its docstring does not open with a sentence"
    n_lines = text.count("\n") - sum(docstring_lines(node) for node in ast.walk(tree))
    if n_lines > MAX_FILE_LINES:
        yield f"{n_lines} lines without docstrings: split the file by ideas"
    for function in functions(tree):
        n_lines, n_arguments = body_lines(function), len(function.args.posonlyargs + function.args.args)
        if n_lines > MAX_BODY_LINES:
            yield f"{function.name} has {n_lines} lines: find the functions in it"
        if n_arguments > MAX_ARGUMENTS:
            yield f"{function.name} takes {n_arguments} arguments: name the tuple"


def test_files_open_with_a_sentence_and_are_short_and_so_are_their_functions():
    """One test for all: a thousand of them would take longer than what they do."""
    broken = {str(path.relative_to(ROOT)): list(broken_rules(path.read_text())) for path in FILES}
    assert {path: rules for path, rules in broken.items() if rules} == {}


def test_broken_rules_are_found():
    arguments = ", ".join(f"a{i}" for i in range(MAX_ARGUMENTS + 1))
    assert len(list(broken_rules("x = 1\n"))) == len(list(broken_rules('"""No sentence"""\n'))) == 1
    sentence = '"""A sentence."""\n'
    assert list(broken_rules(sentence + "x = 1\n" * MAX_FILE_LINES)) == []
    for lines in (
        "x = 1\n" * (MAX_FILE_LINES + 1),
        "def f():\n" + "    x = 1\n" * (MAX_BODY_LINES + 1),
        f"class A:\n    def f({arguments}):\n        pass\n",
    ):
        assert len(list(broken_rules(sentence + lines))) == 1


def test_measures_count_what_they_should():
    signature = "def f(\n    a,\n    *,\n    b,\n):\n"
    docstring = '    """Do.\n\n    More.\n    """\n'
    body = "    x = a\n\n    return x\n"
    (function,) = functions(ast.parse(signature + docstring + body))
    assert body_lines(function) == 3
    assert docstring_lines(function) == 4


def twice(names):
    return {name: places for name, places in names.items() if len(places) > 1}


def test_no_file_and_no_class_has_the_name_of_another():
    files, classes = defaultdict(list), defaultdict(list)
    for path in sorted((ROOT / "src").rglob("*.py")):
        files[path.name].append(path)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name].append(path)
    del files["__init__.py"]
    assert twice(files) == {}
    assert twice(classes) == {}
