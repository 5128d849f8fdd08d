"""Keeps the layers: who may import whom within nutmill, who knows PyMC, and how light `import nutmill` is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "nutmill"
FILES = sorted(PACKAGE.rglob("*.py"))

# A room is a file or folder of the package; it may import itself and these.
MAY_IMPORT = {
    "errors": set(),
    "_jit": set(),
    "files": set(),
    "form": set(),
    "labels": set(),
    "units": set(),
    "stderr": set(),
    "nuts": {"errors", "_jit"},
    "layout": {"errors", "files"},
    "native": {"errors", "files", "nuts"},
    "model": {"errors", "_jit", "files", "native", "nuts", "stderr"},
    "run": {"errors", "files", "form", "native", "nuts"},
    "trace": {"errors", "labels"},
    "result_file": {"errors"},
    "diagnosis": {"errors", "labels", "model", "native", "nuts", "stderr", "trace"},
    # Its bits must not depend on how many threads BLAS has elsewhere; the last two are types of arguments alone.
    "compiled": {"errors", "layout", "native", "request", "run"},
    "artifact": {"errors", "files", "labels", "native", "nuts", "compiled"},
    "compiling": {"errors", "native", "model", "compiled", "stderr"},
    "request": {"errors", "layout", "nuts", "run"},
    "expansion": {"files", "run", "compiled", "trace"},
    "result": {"errors", "run", "trace", "compiled", "request", "expansion", "identity"},
    "memory": {"errors", "layout", "nuts", "run", "compiled", "request"},
    "layout_search": {"errors", "layout", "compiled", "native"},
    "identity": {"errors", "model", "compiled"},
    "session": {"run", "layout", "diagnosis", "compiled", "layout_search", "request", "result", "stderr", "units"},
    "executor": {
        *("errors", "files", "native", "nuts", "run", "layout", "compiled", "artifact", "layout_search", "request"),
        *("session", "stderr"),
    },
    "resuming": {
        *("errors", "files", "run", "layout", "artifact", "compiled", "compiling", "executor", "identity", "request"),
        "session",
    },
    "merging": {"errors", "run", "layout", "identity", "request", "resuming", "session"},
    "warm": {"errors", "nuts", "run", "trace"},
    "sample": {
        *("errors", "run", "layout", "compiled", "compiling", "executor", "identity", "memory", "request", "resuming"),
        "session",
    },
    "explanation": {"errors", "layout", "native", "model", "units", "compiled", "compiling"},
    "comparison": {"__init__", "errors", "diagnosis", "trace"},
    "cli": {
        *("__init__", "errors", "files", "layout", "compiled", "compiling", "layout_search", "native", "trace"),
        *("artifact", "comparison", "diagnosis", "explanation", "result_file", "run", "stderr", "units"),
    },
    "pymc": {"errors", "sample"},
    "bambi": {"errors", "pymc"},
    "__main__": {"cli"},
    # For type checkers; at run time it imports what is used, when it is used.
    "__init__": {
        *(
            "artifact",
            "comparison",
            "compiled",
            "compiling",
            "diagnosis",
            "errors",
            "explanation",
            "identity",
            "layout",
        ),
        *("layout_search", "merging", "resuming", "run", "sample", "warm"),
    },
}
# Sampling and files are built on CompiledModel, whose methods are their public doors: imported inside these methods.
DEFERRED = {("compiled", "sample"), ("compiled", "artifact")}

KNOW_PYMC = {"model", "compiling", "comparison", "explanation", "pymc"}
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
    allowed = {(room, other) for other in MAY_IMPORT[room] | {room}}
    at_once = {(room, other) for other in rooms_imported(tree, deferred=False)}
    later = {(room, other) for other in rooms_imported(tree, deferred=True)}
    assert not at_once - allowed
    assert not later - allowed - DEFERRED


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
        assert getattr(nutmill, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'sampel'"):
        nutmill.sampel  # noqa: B018
