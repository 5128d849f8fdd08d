"""Keeps the layers: who may import whom within nutmill, who knows PyMC, and how light `import nutmill` is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "nutmill"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(("nutmill", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}

# A room is a folder of the package, or one of the files beside them; it may import itself and these.
GROUND = {"errors", "files", "units", "_jit"}
MAY_IMPORT = {
    **{room: set() for room in GROUND},
    "nuts": {"errors", "_jit"},
    "layout": {"errors", "files", "units"},
    # What it computes must not depend, in its last bits, on how many threads BLAS has elsewhere: `layout` sets them.
    "native": {"errors", "files", "nuts", "layout"},
    "checkpoint": {"errors", "files", "nuts"},
    "progress": {"errors", "files", "units", "checkpoint"},
    "model": {"errors", "files", "_jit", "nuts", "native", "progress"},
    "run": {"errors", "files", "nuts", "native", "checkpoint", "progress"},
    "results": {"errors", "files", "native", "checkpoint", "model", "run"},
    "diagnosis": {"errors", "units", "nuts", "native", "model", "progress", "results"},
    "sampling": {
        *("errors", "files", "units", "nuts", "layout", "native", "checkpoint", "progress", "model", "run", "results"),
        "diagnosis",
    },
    "many": {
        *("errors", "files", "units", "nuts", "layout", "native", "checkpoint", "model", "progress", "run", "results"),
        "sampling",
    },
    "explanation": {"errors", "units", "layout", "native", "model", "progress"},
    "comparison": {"__init__", "errors", "layout", "diagnosis", "results"},
    "cli": {
        *("__init__", "errors", "files", "units", "nuts", "layout", "native", "checkpoint", "progress", "model"),
        *("results", "diagnosis", "sampling", "many", "explanation", "comparison"),
    },
    "pymc": {"errors", "sampling"},
    "bambi": {"errors", "pymc"},
    "__main__": {"cli"},
    # For type checkers; at run time it imports what is used, when it is used.
    "__init__": {
        *("errors", "layout", "native", "model", "progress", "run", "results", "diagnosis", "sampling"),
        *("many", "explanation", "comparison"),
    },
}
# Within the compiler, too, a room may import itself and those before it.
COMPILER = ("graphs", "rewriting", "lowering", "cache")
KNOW_PYMC = {"model", "comparison", "explanation", "pymc"}
HEAVY = {"pymc", "pytensor", "arviz", "numba"}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules(node):
    """Dotted names that an import statement may load, as far as rooms are concerned."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.module == "nutmill":
        return [f"nutmill.{alias.name}" for alias in node.names]
    return [node.module]


def imports(tree):
    """Names imported anywhere in a file: within functions and for type checkers alone, too."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return [name for node in statements for name in modules(node)]


def rooms_imported(tree):
    for name in imports(tree):
        first, *rest = name.split(".")
        if first == "nutmill":
            is_room = rest and ((PACKAGE / rest[0]).is_dir() or (PACKAGE / f"{rest[0]}.py").is_file())
            yield rest[0] if is_room else "__init__"


def files_imported(tree):
    """Files of the package, as dotted names, that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            named = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in named)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def circle_in(graph):
    """Find files that import each other in a circle: their names in order, none if there is no circle."""
    done = set()

    def search(name, path):
        if name in path:
            return path[path.index(name) :]
        if name not in done:
            for other in sorted(graph.get(name, ())):
                if found := search(other, [*path, name]):
                    return found
            done.add(name)
        return []

    return next(filter(None, (search(name, []) for name in sorted(graph))), [])


def broken_rules(room, tree):
    """What a file of a room breaks by its imports, in sentences."""
    if any(node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        yield "imports are absolute"
        return  # the other rules read absolute ones
    if room not in MAY_IMPORT:
        yield f"{room} is a new room: say here what it may import"
    if beyond := set(rooms_imported(tree)) - MAY_IMPORT.get(room, set()) - {room}:
        yield f"{room} may not import {', '.join(sorted(beyond))}"
    if room not in KNOW_PYMC and {name.split(".")[0] for name in imports(tree)} & {"pymc", "pytensor"}:
        yield f"{room} does not know PyMC"


def test_imports_go_down_are_absolute_and_only_the_model_side_knows_pymc():
    """One test for all files: one for each would take longer than what they do."""
    broken = {str(path): list(broken_rules(room_of(path), ast.parse(path.read_text()))) for path in FILES}
    assert {path: rules for path, rules in broken.items() if rules} == {}


@pytest.mark.parametrize(
    ("room", "line", "sentence"),
    [
        ("attic", "import numpy", "attic is a new room: say here what it may import"),
        ("nuts", "from nutmill import units", "nuts may not import units"),
        ("model", "from . import build", "imports are absolute"),
        ("native", "def f():\n    import pytensor.tensor", "native does not know PyMC"),
        ("model", "from pytensor import config", None),
    ],
)
def test_broken_rules_are_found(room, line, sentence):
    assert list(broken_rules(room, ast.parse(line))) == ([] if sentence is None else [sentence])


@pytest.mark.parametrize("room", COMPILER)
def test_imports_within_the_compiler_go_down(room):
    above = COMPILER[COMPILER.index(room) + 1 :]
    for path in (PACKAGE / "model" / room).rglob("*.py"):
        names = set(files_imported(ast.parse(path.read_text())))
        assert not [name for name in names for other in above if name.startswith(f"nutmill.model.{other}.")], path


def test_rooms_are_few_and_have_floors():
    rooms = set(MAY_IMPORT) - GROUND
    assert len(rooms) <= 18
    assert circle_in({room: MAY_IMPORT[room] for room in rooms - {"__init__"}}) == []
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES} == set(MAY_IMPORT)


def test_no_files_import_each_other():
    # `nutmill/__init__.py` names what users import, and belongs to no floor.
    graph = {
        name: set(files_imported(ast.parse(path.read_text()))) & set(MODULES) - {name, "nutmill"}
        for name, path in MODULES.items()
        if name != "nutmill"
    }
    assert circle_in(graph) == []


def test_circles_are_found():
    graph = {"a": {"b", "d"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circle_in(graph) == ["b", "c"]
    assert circle_in({**graph, "c": {"d"}}) == []
    lazy = ast.parse("if TYPE_CHECKING:\n    from nutmill.run import driver\ndef f():\n    import nutmill.units\n")
    assert set(files_imported(lazy)) == {"nutmill.units", "nutmill.run.driver"}


def test_lazy_imports_are_arrows_too():
    tree = ast.parse("import nutmill.run.driver\ndef f():\n    from nutmill import errors, sample_numba\n")
    assert list(rooms_imported(tree)) == ["run", "errors", "__init__"]


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
