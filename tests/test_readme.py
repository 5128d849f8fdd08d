"""Runs what the documents show and finds what they name: examples, commands, files, functions."""

import ast
import doctest
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from assertions import MAX_Z, effective_sample_size

from benchmarks import report
from nutmill import sample_numba
from nutmill.results.trace import group

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "nutmill"
README = (ROOT / "README.md").read_text()
FOLDERS_WITH_DOCUMENTS = [
    ROOT / folder
    for folder in (
        "docs",
        "docs/decisions",
        "docs/guide",
        "docs/gallery",
        "docs/reference",
        "tuning",
        "tuning/profiles",
    )
]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *(path for folder in FOLDERS_WITH_DOCUMENTS for path in sorted(folder.glob("*.md"))),
]
REFERENCES = json.loads((ROOT / "tests" / "data" / "posteriordb" / "references.json").read_text())
EIGHT_SCHOOLS = REFERENCES["eight_schools-eight_schools_noncentered"]["reference"]

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def code_blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def quoted(text):
    """What stands between single backticks, outside of blocks of code."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def defined_names(path):
    """Names that a module defines at its top level."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return names


def files_and_examples(folder):
    """Write the files that the README shows; give its other examples."""
    examples = []
    for block in code_blocks(README):
        name = re.match(r"# (\w+\.py)\n", block)
        if name is None:
            examples.append(block)
        else:
            (folder / name[1]).write_text(block)
    return examples


@pytest.fixture
def examples(tmp_path, monkeypatch):
    """The examples of the README, in a folder with its files; each is run in a module of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    # A folder of tests is called so, too; what was there before comes back at the end.
    monkeypatch.setitem(sys.modules, "model", None)
    del sys.modules["model"]
    return files_and_examples(tmp_path)


def run_alone(example):
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    return names


def test_examples_of_the_readme_run_each_by_itself(examples):
    first, plugged, of_many, kept = examples
    posterior = group(run_alone(first)["result"], "posterior")
    assert posterior["theta"].dims == ("chain", "draw", "school")
    assert posterior["theta"].shape == (4, 1000, 8)
    mu, reference = posterior["mu"].values, EIGHT_SCHOOLS["mu"]
    ess = effective_sample_size(mu)
    assert ess > 1000
    error = np.hypot(mu.std() / np.sqrt(ess), reference["mcse_mean"])
    assert abs(mu.mean() - reference["mean"]) < MAX_Z * error
    result = run_alone(plugged)["result"]
    assert group(result, "posterior")["theta"].dims == ("chain", "draw", "school")
    assert json.loads(result.attrs["cpu_layout"])
    fits = run_alone(of_many)["fits"]
    assert fits["summary"]["floor"].sizes == {"dataset": 85, "statistic": 9}
    result = run_alone(kept)["result"]
    again = sample_numba(sys.modules["model"].model, draws=1000, random_seed=2, progressbar=False)
    assert np.array_equal(group(result, "posterior")["theta"], group(again, "posterior")["theta"])


def failing_examples(name, docstring):
    runner = doctest.DocTestRunner(verbose=False)
    example = doctest.DocTestParser().get_doctest(docstring, {}, name, None, 0)
    runner.run(example, out=lambda text: None)
    return runner.failures


def test_examples_of_docstrings_run():
    """A docstring may hold examples; each brings its own imports."""
    assert failing_examples("two", ">>> 1 + 1\n2\n>>> 1 + 1\n3\n") == 1
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                name = f"{path.name}: {getattr(node, 'name', '')}"
                assert failing_examples(name, ast.get_docstring(node) or "") == 0, name


def test_the_benchmark_table_can_be_put_in():
    assert README.count("<!-- benchmark:start -->") == README.count("<!-- benchmark:end -->") == 1
    assert README.index("<!-- benchmark:start -->") < README.index("<!-- benchmark:end -->")


@pytest.mark.parametrize("path", ["README.md", "docs/costs.md"])
def test_the_benchmark_tables_are_what_their_commands_print(path, capsys):
    text = (ROOT / path).read_text()
    files = set(re.findall(r"`python -m benchmarks\.report --short ([\w./-]+\.json)`", text))
    assert files
    for file in files:
        report.main(["--short", str(ROOT / file)])
        assert capsys.readouterr().out.strip() in text, file


@each_document
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target.split("#")[0]).exists(), target


@each_document
def test_files_that_are_named_exist(path):
    places = [ROOT, PACKAGE, path.parent]
    for name in quoted(path.read_text()):
        if re.fullmatch(r"[\w./-]*\w\.(py|md|json)", name):
            assert any((place / name).is_file() for place in places), name


@each_document
def test_targets_of_make_exist(path):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^    |`)make ([\w-]+)", path.read_text(), flags=re.MULTILINE))
    assert named <= targets


def test_functions_that_the_theory_names_exist():
    """In docs/theory.md `tree.grow` is the function `grow` of nuts/tree.py."""
    named = [name for name in quoted((ROOT / "docs" / "theory.md").read_text()) if re.fullmatch(r"\w+\.\w+", name)]
    named = [name.split(".") for name in named if not name.endswith((".py", ".md"))]
    assert len(named) > 20
    missing = [
        f"{module}.{name}"
        for module, name in named
        if not any(name in defined_names(path) for path in (PACKAGE / "nuts").rglob(f"{module}.py"))
    ]
    assert not missing


def test_readers_of_documents_see_what_is_there():
    text = "`a.b` and\n```python\nx = `no`\n```\nthen `c`\n"
    assert quoted(text) == ["a.b", "c"]
    assert code_blocks(text) == ["x = `no`\n"]
    assert {"grow", "Verbs", "COMPLETE", "TURNING"} <= defined_names(PACKAGE / "nuts" / "tree.py")
