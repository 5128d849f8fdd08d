"""What each public function says of itself: all that it takes, what it gives, and which errors it raises."""

import ast
import inspect
import re
import textwrap

import pytest

import nutmill

HEADING = re.compile(r"^(\w+)\n-+$", re.MULTILINE)


def public():
    """Functions that users can import, and methods of classes that they can, by name."""
    for name in nutmill.__all__:
        thing = getattr(nutmill, name)
        if not inspect.isclass(thing):
            yield name, thing
            continue
        for member, value in vars(thing).items():
            function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if inspect.isfunction(function) and not member.startswith("_"):
                yield f"{name}.{member}", function


FUNCTIONS = dict(public())
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def sections(function):
    """Text of each section of a docstring, by its heading."""
    _, *parts = HEADING.split(inspect.getdoc(function))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def names_in(section):
    """Names that a section explains: those that begin its lines without indentation."""
    lines = [line.partition(" : ")[0] for line in section.splitlines() if line and not line.startswith(" ")]
    return {name for line in lines for name in line.split(", ")}


def errors_raised(function):
    """Names of the exceptions that the function's own body raises."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return {error.func.id for error in raised if isinstance(error, ast.Call) and isinstance(error.func, ast.Name)}


@each_function
def test_every_argument_is_explained(function):
    taken = set(inspect.signature(function).parameters) - {"self", "cls"}
    assert taken == names_in(sections(function).get("Parameters", ""))


@each_function
def test_what_is_returned_is_explained(function):
    returns = inspect.signature(function).return_annotation
    assert returns is not inspect.Signature.empty
    assert ("Returns" in sections(function)) == (returns not in (None, "None"))


@each_function
def test_errors_that_are_raised_are_named(function):
    assert errors_raised(function) <= names_in(sections(function).get("Raises", ""))


def test_sections_are_told_apart():
    def of(a, b, c):
        """Do.

        Parameters
        ----------
        a, b : int
            With words.
        c
            Or without.

        Raises
        ------
        KeyError, ValueError
            Never.
        """
        raise KeyError(a)

    found = sections(of)
    assert names_in(found["Parameters"]) == {"a", "b", "c"}
    assert names_in(found["Raises"]) == {"KeyError", "ValueError"} and errors_raised(of) == {"KeyError"}
    assert {"sample_numba", "CompiledModel.with_data", "AdaptationState.load"} <= FUNCTIONS.keys()
