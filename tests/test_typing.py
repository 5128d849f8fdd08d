"""What editors say of nutmill: nothing of the README's examples, and of a wrong call that it is wrong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from test_readme import files_and_examples

import nutmill

PACKAGE = Path(nutmill.__file__).parent
# Of others' types nothing is needed, and reading them takes a minute.
CONFIGURATION = """
[mypy]
mypy_path = {}
follow_imports = silent
[mypy-pymc.*,pytensor.*,numba.*,llvmlite.*,arviz.*,xarray.*,pandas.*,scipy.*,rich.*,typer.*,threadpoolctl.*]
follow_imports = skip
ignore_missing_imports = True
"""
WRONG = """
import nutmill
from nutmill import load, sample_numba
compiled = load("line.nut")
sample_numba(draws="1000")
sample_numba(compiled, draws="1000")
nutmill.sample(compiled, drwas=1000)
compiled.with_data(x=[1.0]).smaple()
nutmill.sampel(draws=1000)
nutmill.resume()
nutmill.Layout("two")
nutmill.compile_model(target=3)
nutmill.find_layout(compiled, objective="wal")
"""
N_RIGHT = 4  # lines of it that are not wrong, the empty one included


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What mypy says of two files: line numbers by file."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "mypy.ini").write_text(CONFIGURATION.format(PACKAGE.parent))
    (folder / "examples.py").write_text("\n".join(files_and_examples(folder)))
    (folder / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache"]
    done = subprocess.run([*command, "examples.py", "wrong.py"], cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def lines_of(told, file):
    return [int(line.split(":")[1]) for line in told.splitlines() if line.startswith(file) and ": error: " in line]


def test_the_examples_of_the_readme_are_right(told):
    assert lines_of(told, "examples.py") == [], told


def test_wrong_calls_are_wrong(told):
    assert sorted(set(lines_of(told, "wrong.py"))) == list(range(N_RIGHT + 1, WRONG.count("\n") + 1)), told


def test_type_checkers_see_the_names_that_there_are():
    module = ast.parse((PACKAGE / "__init__.py").read_text())
    (typed,) = [node for node in module.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    homes = {name.name: each.module for each in typed.body if isinstance(each, ast.ImportFrom) for name in each.names}
    assert homes == nutmill._HOMES and sorted(homes) == nutmill.__all__
    assert (PACKAGE / "py.typed").is_file()


def test_completion_offers_what_users_may_take():
    offered = {name for name in dir(nutmill) if not name.startswith("__")}
    assert offered - {"pymc", "bambi"} == set(nutmill.__all__)
