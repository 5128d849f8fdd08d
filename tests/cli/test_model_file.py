"""Models in files: what is found, and the sentence for each way in which nothing is."""

import sys
from types import SimpleNamespace

import pymc as pm
import pytest

from nutmill import compile_model
from nutmill.cli.model_file import ModelPlace, is_model, load_model, parse
from nutmill.errors import ModelError

MODEL = """
import pymc as pm

def build():
    with pm.Model() as model:
        pm.Normal("x")
    return model

def sized(n, *, extra=1):
    return build()

class Thing:
    pass

line = build()
number = 3
broken = lambda: 1 / 0
nothing = lambda: None
"""


@pytest.fixture
def written(tmp_path):
    """Give a function that writes a file and gives the place of a name in it."""

    def write(text, name="model", file="mine.py"):
        path = tmp_path / file
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ModelPlace(path, name)

    return write


def refusal(place):
    before = list(sys.path)
    with pytest.raises(ModelError) as error:
        load_model(place)
    assert sys.path == before
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [("a.py:b", "a.py", "b"), ("/x/a b.py:c_1", "/x/a b.py", "c_1"), ("C:\\a.py:b", "C:\\a.py", "b")],
)
def test_a_place_is_parsed_into_file_and_name(text, path, name):
    place = parse(text)
    assert (str(place.path), place.name) == (path, name)
    assert str(place) == text


@pytest.mark.parametrize("text", ["", "a.py", "a.py:", ":b", "a.py:b c", "a.py:b.c", "a.py:1"])
def test_what_names_no_place(text):
    with pytest.raises(ValueError, match=r"file\.py:name"):
        parse(text)


def test_a_compiled_model_is_its_file_alone():
    with pytest.raises(ValueError, match=r"no name in its file: it is given as a\.nut, not 'a\.nut:model'"):
        parse("a.nut:model")


def test_a_model_is_found_by_its_name(written):
    assert isinstance(load_model(written(MODEL, "line")), pm.Model)


def test_a_function_that_returns_one(written):
    assert isinstance(load_model(written(MODEL, "build")), pm.Model)


def test_a_compiled_model(written):
    place = written(MODEL + "from nutmill import compile_model\ncompiled = compile_model(line)\n", "compiled")
    assert load_model(place).n_dim == 1


def test_what_is_a_model():
    with pm.Model() as model:
        pm.Normal("x")
    assert is_model(model) and is_model(compile_model(model))
    assert not is_model(pm.Model) and not is_model(SimpleNamespace()) and not is_model(None)


def test_the_file_runs_as_a_module_of_its_name(written):
    written("value = 5\n", file="beside_mine.py")
    place = written(
        "import sys, beside_mine\nfrom dataclasses import dataclass\n"
        "assert __name__ == 'mine' and __file__.endswith('mine.py') and sys.modules['mine'].__name__ == 'mine'\n"
        "@dataclass\nclass A:\n    x: 'int' = 1\n" + MODEL,
        "line",
    )
    before = list(sys.path)
    try:
        assert is_model(load_model(place))
        assert sys.path == before
        assert sys.modules["beside_mine"].value == 5
    finally:
        del sys.modules["beside_mine"], sys.modules["mine"]


def test_a_function_may_import_what_lies_beside_the_file(written):
    written("value = 6\n", file="beside_later.py")
    place = written(f"{MODEL}\ndef late():\n    import beside_later\n    return build()\n", "late")
    assert is_model(load_model(place))
    del sys.modules["beside_later"]


def test_a_file_named_as_a_module_does_not_replace_it(written):
    import statistics

    assert is_model(load_model(written(MODEL, "line", file="statistics.py")))
    assert sys.modules["statistics"] is statistics and statistics.median([1, 2, 3]) == 2
    assert "ZeroDivisionError" in refusal(written("1 / 0", file="statistics.py"))
    assert sys.modules["statistics"] is statistics


def test_a_file_that_fails_leaves_no_module(written):
    refusal(written("1 / 0", file="failing_model.py"))
    assert "failing_model" not in sys.modules


def test_a_missing_file_is_one_sentence(tmp_path):
    assert refusal(ModelPlace(tmp_path / "no.py", "x")) == (
        f"The model file {tmp_path}/no.py cannot be read: there is no such file."
    )
    assert refusal(ModelPlace(tmp_path, "x")) == f"The model file {tmp_path} cannot be read: it is a folder."
    (tmp_path / "line.py").write_text(MODEL)
    assert refusal(ModelPlace(tmp_path / "line", "x")).endswith(f"(is {tmp_path}/line.py meant?).")


def test_a_missing_name_is_one_sentence(written):
    place = written(MODEL, "modell")
    assert refusal(place) == (
        f"{place.path} has no 'modell'; models in it: line; functions that may return one: build, broken, nothing."
    )
    place = written("x = 3\n")
    assert refusal(place) == f"{place.path} has no 'model'; there is no model in it."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\ny = x / 0\n", "ZeroDivisionError: division by zero (line 2 of {path}: y = x / 0)"),
        ("def f():\n    raise KeyError\nf()\n", "KeyError (line 2 of {path}, in f: raise KeyError)"),
        ("raise ValueError('first.\\nsecond')\n", "ValueError: first (line 1 of {path}: raise ValueError"),
        ("import no_such_module_at_all\n", "ModuleNotFoundError: No module named 'no_such_module_at_all' (line 1"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 (line 2 of {path}: sys.exit(3))"),
        ("x = 1\ny = (\n", "SyntaxError: '(' was never closed (line 2 of {path})"),
        (b"\x00\xff", "source code string cannot contain null bytes"),
        (
            "import numpy as np\nnp.linalg.cholesky(-np.eye(2))\n",
            "LinAlgError: Matrix is not positive definite (line 2",
        ),
    ],
    ids=["raises", "in a function", "several lines", "import", "exit", "syntax", "binary", "deep"],
)
def test_a_file_that_raises_names_its_line(written, text, sentence):
    place = written(text)
    said = refusal(place)
    assert said.startswith(f"The model file {place.path} raised ")
    assert sentence.format(path=place.path) in said


def test_an_error_far_from_the_file_has_no_place(written):
    written("raise OSError('deep')", file="deep_one.py")
    assert "line 1 of" in refusal(written("import deep_one"))


def test_ctrl_c_is_not_an_error_of_the_model(written):
    with pytest.raises(KeyboardInterrupt):
        load_model(written("raise KeyboardInterrupt"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("number", "is an int, not a pm.Model, a function"),
        ("Thing", "is the class Thing, not a pm.Model"),
        ("pm", "is a module, not a pm.Model"),
        ("sized", "needs arguments (n); name a pm.Model"),
        ("nothing", "returned None, not a pm.Model or a CompiledModel"),
        ("broken", "raised ZeroDivisionError: division by zero (line 17 of"),
    ],
)
def test_a_name_that_is_no_model(written, name, sentence):
    place = written(MODEL, name)
    said = refusal(place)
    assert sentence in said and str(place.path) in said


def test_an_njit_density_needs_a_wrapper(written):
    place = written("import numba\n@numba.njit\ndef density(q, gradient, data):\n    return 0.0\n", "density")
    assert "needs arguments (q, gradient, data)" in refusal(place)


def test_a_builtin_without_signature(written):
    assert "cannot be called without arguments" in refusal(written("model = min\n"))
