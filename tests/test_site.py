"""The site: what its pages must hold, and that the shortest notebook of its gallery runs."""

import ast
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import nutmill
from nutmill.errors import SENTENCES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "nutmill"
DOCS = ROOT / "docs"
NOTEBOOKS = sorted(path for path in (DOCS / "gallery").glob("*.md") if path.stem != "index")
# Every sentence in these modules is one that users read.
SAYING = [*(PACKAGE / "diagnosis").glob("*.py"), PACKAGE / "run" / "collect.py"]
SKIPPED = {PACKAGE / "diagnosis" / "verdict.py"}  # the summary in one line, which is no warning


def plain(text):
    """Give the words of a page, without the marks of quotations and code."""
    return " ".join(re.sub(r"^> ?", "", text, flags=re.MULTILINE).replace("`", "").split())


def docstrings(tree):
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    with_body = [node for node in ast.walk(tree) if isinstance(node, nodes) and ast.get_docstring(node)]
    return {id(node.body[0].value) for node in with_body}


def pieces(node):
    """Give what stands between the values that a sentence is filled with, where it is three words or more."""
    texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    parts = [part.strip(" ;,.(:'\"") for text in texts for part in re.split(r"%[sd]|{.*?}", text)]
    return {" ".join(part.split()) for part in parts if len(part.split()) >= 3}


def spoken(path):
    """Give all sentences of a module."""
    tree = ast.parse(path.read_text())
    told = docstrings(tree)
    strings = [n for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr) and id(n) not in told]
    return set().union(*map(pieces, strings))


def warned(path):
    """Give the sentences of calls of `_log.warning`, `warnings.warn` and `warn_of` in a module."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = [getattr(call.func, "attr", getattr(call.func, "id", None)) for call in calls]
    warnings = [call for call, name in zip(calls, names, strict=True) if name in ("warning", "warn", "warn_of")]
    return set().union(*(pieces(argument) for call in warnings for argument in call.args))


def test_every_warning_is_on_the_page_that_says_what_to_do():
    page = plain((DOCS / "guide" / "not-clean.md").read_text())
    said = {path: spoken(path) for path in SAYING if path not in SKIPPED}
    said |= {path: said.get(path, set()) | warned(path) for path in PACKAGE.rglob("*.py")}
    assert sum(map(len, said.values())) > 60
    missing = [f"{path.name}: {piece}" for path, found in said.items() for piece in found if piece not in page]
    missing += [text for text in SENTENCES.values() if text != "fine" and text not in page]
    assert not missing


def cells(notebook):
    return re.findall(r"^```\{code-cell\}\n(.*?)^```", notebook.read_text(), flags=re.MULTILINE | re.DOTALL)


def run(notebook, monkeypatch):
    """Run the cells of a notebook as the build of the site does, and throw its pictures away."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(notebook.parent)
    pyplot.switch_backend("Agg")
    names = {}
    for cell in cells(notebook):
        exec(compile(cell, notebook.name, "exec"), names)
    pyplot.close("all")
    return names


with_arviz_1 = pytest.mark.skipif(int(version("arviz").split(".")[0]) < 1, reason="the site is built with ArviZ 1")


@with_arviz_1
@pytest.mark.filterwarnings("default")
def test_the_shortest_notebook_runs(monkeypatch):
    names = run(DOCS / "gallery" / "eight_schools.md", monkeypatch)
    assert nutmill.diagnose(names["chosen"]).rhat[0] < 1.02


@with_arviz_1
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_all_notebooks_run(notebook, monkeypatch):
    assert run(notebook, monkeypatch)


def test_code_of_notebooks_fits_the_page():
    lines = [line for notebook in NOTEBOOKS for cell in cells(notebook) for line in cell.splitlines()]
    assert len(lines) > 200
    assert max(map(len, lines)) <= 88


def test_every_public_name_is_in_the_reference():
    page = (DOCS / "reference" / "python.md").read_text()
    named = set(re.findall(r"(?:auto(?:function|class|exception)|data):: nutmill\.(\w+)$", page, flags=re.MULTILINE))
    assert named == set(nutmill.__all__)


def test_what_the_reference_shows_exists():
    pages = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    named = re.findall(r"auto\w+:: ([\w.]+)$", pages, flags=re.MULTILINE)
    assert len(named) > 25
    for module, name in (path.rsplit(".", 1) for path in named if "bambi" not in path):
        assert hasattr(import_module(module), name), f"{module}.{name}"


def test_what_pages_call_exists():
    pages = [*(DOCS / "guide").glob("*.md"), *NOTEBOOKS, DOCS / "index.md"]
    text = "\n".join(page.read_text() for page in pages)
    named = set(re.findall(r"\bnutmill\.([A-Za-z_]\w*)\(", text)) | set(re.findall(r"from nutmill import (\w+)", text))
    assert len(named) > 10
    assert named <= set(nutmill.__all__)
    of_models = set(re.findall(r"\bcompiled\.(\w+)", text))
    assert len(of_models) > 3
    assert all(hasattr(nutmill.CompiledModel, name) for name in of_models)


def test_every_page_is_in_the_contents():
    listed = {"index"}
    for index in DOCS.rglob("index.md"):
        for contents in re.findall(r"```\{toctree\}(.+?)```", index.read_text(), re.DOTALL):
            pages = [line.split("<")[-1].strip(" >") for line in contents.splitlines()]
            listed |= {str((index.parent / page).relative_to(DOCS)) for page in pages if page and page[0] != ":"}
    pages = [path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md") if path.name != "README.md"]
    assert set(map(str, pages)) - listed == set()


def test_sentences_are_found():
    call = ast.parse("_log.warning('%s is not what %s wanted here', a, b)").body[0].value
    assert pieces(call) == {"is not what"}
