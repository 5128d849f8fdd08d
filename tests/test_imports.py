"""Keeps the layers: who may import whom within nutmill, who knows PyMC, and how light `import nutmill` is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "nutmill"
FILES = sorted(PACKAGE.rglob("*.py"))

# A room is a folder of the package, or one of the files beside them; it may import itself and these.
GROUND = {"errors", "files", "units", "_jit", "collecting"}
MAY_IMPORT = {
    **{room: set() for room in GROUND},
    "nuts": {"errors", "_jit"},
    "layout": {"errors", "files", "units"},
    # What it computes must not depend, in its last bits, on how many threads BLAS has elsewhere: `layout` sets them.
    "native": {"errors", "files", "nuts", "layout"},
    "checkpoint": {"errors", "files", "nuts", "run"},
    "progress": {"errors", "files", "checkpoint"},
    "model": {"errors", "files", "_jit", "collecting", "nuts", "native", "progress"},
    "run": {"errors", "files", "nuts", "native", "checkpoint", "progress"},
    "results": {"errors", "files", "native", "checkpoint", "run", "sampling"},
    "diagnosis": {"errors", "nuts", "native", "model", "progress", "results"},
    "sampling": {
        *("errors", "files", "units", "nuts", "layout", "native", "checkpoint", "progress", "model", "run", "results"),
        "diagnosis",
    },
    "explanation": {"errors", "units", "layout", "native", "model"},
    "comparison": {"__init__", "errors", "diagnosis", "results"},
    "cli": {
        *("__init__", "errors", "files", "units", "layout", "native", "checkpoint", "progress", "model", "results"),
        *("diagnosis", "sampling", "explanation", "comparison"),
    },
    "pymc": {"errors", "sampling"},
    "bambi": {"errors", "pymc"},
    "__main__": {"cli"},
    # For type checkers; at run time it imports what is used, when it is used.
    "__init__": {
        *("errors", "layout", "native", "model", "progress", "run", "diagnosis", "sampling", "explanation"),
        *("collecting", "comparison"),
    },
}
KNOW_PYMC = {"model", "comparison", "explanation", "pymc"}
HEAVY = {"pymc", "pytensor", "arviz", "numba"}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules(node):
    """Dotted names that an import statement may load, as far as rooms are concerned."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.module == "nutmill":
        return [f"nutmill.{alias.name}" for alias in node.names]
    return [node.module]


def imports(tree, *, deferred):
    """Names imported at the level of the module, or inside functions."""
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return [name for node in statements if (node in inside) == deferred for name in modules(node)]


def rooms_imported(tree, *, deferred):
    for name in imports(tree, deferred=deferred):
        first, *rest = name.split(".")
        if first == "nutmill":
            is_room = rest and ((PACKAGE / rest[0]).is_dir() or (PACKAGE / f"{rest[0]}.py").is_file())
            yield rest[0] if is_room else "__init__"


@each_file
def test_imports_go_down(path):
    tree, room = ast.parse(path.read_text()), room_of(path)
    assert room in MAY_IMPORT, f"{room} is a new room: say here what it may import"
    for deferred in (False, True):  # lazy imports and those of types alone are arrows as well
        assert not set(rooms_imported(tree, deferred=deferred)) - MAY_IMPORT[room] - {room}


@each_file
def test_imports_are_absolute(path):
    relative = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.level]
    assert not relative


@each_file
def test_only_the_model_side_knows_pymc(path):
    tree = ast.parse(path.read_text())
    names = {name.split(".")[0] for deferred in (False, True) for name in imports(tree, deferred=deferred)}
    if room_of(path) not in KNOW_PYMC:
        assert not names & {"pymc", "pytensor"}


def test_deferred_imports_are_told_from_others():
    tree = ast.parse("import nutmill.run.driver\ndef f():\n    from nutmill import errors, sample_numba\n")
    assert list(rooms_imported(tree, deferred=False)) == ["run"]
    assert list(rooms_imported(tree, deferred=True)) == ["errors", "__init__"]


def test_importing_nutmill_loads_nothing_heavy():
    code = "import sys, nutmill; print(nutmill.__version__, *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "nutmill" in loaded
    assert not loaded & HEAVY


def test_public_names_exist():
    import nutmill

    for name in nutmill.__all__:
        assert getattr(nutmill, name).__name__ == {"sample": "sample_numba"}.get(name, name)
    assert nutmill.sample is nutmill.sample_numba
    with pytest.raises(AttributeError, match="no attribute 'sampel'"):
        nutmill.sampel  # noqa: B018
