"""`nutmill tune` from end to end, on tiny models and this machine; and what is refused before anything is measured."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nutmill.cli.app import app
from nutmill.cli.tune import Objective, Options, write_files
from nutmill.errors import LayoutError
from nutmill.layout.layout import Layout
from nutmill.layout.profile import load
from nutmill.layout.search.candidates import Objective as Objectives

TINY = """
import numpy as np
import pymc as pm

print("this is not JSON")
with pm.Model() as model:
    x = pm.MvNormal("x", np.zeros(30), np.eye(30))

def build():
    return model
"""


@pytest.fixture
def tiny(tmp_path):
    """A file with a model of 30 values that needs a BLAS."""
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    return path


@pytest.fixture(autouse=True)
def own_profiles(monkeypatch, tmp_path, cache_of_the_session):
    """Keep the compiled kernel of the session, and profiles apart from it."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    monkeypatch.setattr("nutmill.layout.profile.profile_folder", lambda: folder)


def run(*arguments, code=0):
    """Run in this process, which has imported PyMC already."""
    result = CliRunner().invoke(app, ["tune", *map(str, arguments)])
    if code == 0:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert result.exit_code == code
    return result


def test_a_process_prints_one_document_and_writes_its_files(tiny, nutmill, cache_of_the_session):
    files = {"--png": tiny.with_name("heat.png"), "--profile": tiny.with_name("layout.json")}
    pairs = [part for pair in files.items() for part in pair]
    done = nutmill("tune", f"{tiny}:model", "--chains", 2, "--budget", 3, "--json", *pairs)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert done.stderr == "this is not JSON\n"
    layout = Layout.from_dict(found["layout"])
    assert found["model"] == f"{tiny}:model" and found["n_dim"] == 30
    assert layout.chains_at_once in (1, 2) and found["sweep"]["job"]["chains"] == 2
    assert found["seconds_per_gradient"] > 0.0
    assert found["png"] == str(files["--png"]) and files["--png"].read_bytes().startswith(b"\x89PNG")
    assert load(files["--profile"]).layout == load(found["profile"]).layout == layout
    assert Path(found["profile"]).parent == cache_of_the_session / "profiles"
    spent_s = max(one["at_s"] for one in found["sweep"]["measurements"])
    assert spent_s < 2 * 3.0
    Path(found["profile"]).unlink()


@pytest.mark.parametrize("where", ["a job of Slurm", "a laptop"])
def test_text_of_a_real_sweep(tiny, tmp_path, monkeypatch, where):
    if where == "a job of Slurm":
        monkeypatch.setenv("SLURM_JOB_ID", "7")
    result = run(f"{tiny}:build", "--chains", 2, "--budget", 1.5)
    assert "Chosen: " in result.stdout
    assert ("#SBATCH --cpus-per-task=" in result.stdout) == (where == "a job of Slurm")
    (kept,) = (tmp_path / "profiles").glob("*.json")
    assert str(kept) in result.stdout
    assert "this is not JSON" in result.stderr and "this is not JSON" not in result.stdout


def test_core_hours_and_no_save(tiny, tmp_path):
    arguments = ("--chains", 2, "--budget", 2, "--no-save", "--json", "--objective", "core_hours")
    found = json.loads(run(f"{tiny}:model", *arguments).stdout)
    assert found["sweep"]["job"]["objective"] == "core_hours"
    assert found["profile"] is None and not list((tmp_path / "profiles").iterdir())


def test_another_blas_is_tried_besides_scipys(tiny):
    """The tests' environment has a second OpenBLAS."""
    arguments = ("--chains", 1, "--budget", 2, "--no-save", "--json", "--blas", "openblas")
    found = json.loads(run(f"{tiny}:model", *arguments).stdout)
    assert {row["layout"]["blas"] for row in found["table"]} == {None, "openblas"}


def test_profiles_that_cannot_be_kept_are_said_so(tiny, monkeypatch, caplog):
    monkeypatch.setattr("nutmill.layout.profile.profile_folder", lambda: Path("/proc/nutmill"))
    result = run(f"{tiny}:model", "--budget", 1.5, "--chains", 1)
    assert "Note: The profile could not be kept: name a file for it with --profile." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{folder}/no.py:model"], "nutmill: The model file {folder}/no.py cannot be read: there is no such file.\n"),
        (["{tiny}:modle"], "{tiny} has no 'modle'; models in it: model; functions that may return one: build.\n"),
        (["{tiny}:model", "--blas", "fastblas"], "nutmill: No BLAS called 'fastblas' is installed; names are"),
        (["{tiny}:model", "--blas", "/no/libblas.so"], "nutmill: There is no BLAS library /no/libblas.so"),
        (["{tiny}:model", "--budget", "0.001", "--no-save"], "budget"),
        (["{tiny}:discrete"], "nutmill: "),
    ],
    ids=["file", "name", "vendor", "library", "budget", "discrete"],
)
def test_errors_exit_with_1_and_a_sentence(tiny, capsys, arguments, sentence):
    from nutmill.cli.app import main

    tiny.write_text(
        f"{TINY}\nwith pm.Model() as discrete:\n    pm.Poisson('n', 3)\n" if "discrete" in str(arguments) else TINY
    )
    places = {"tiny": tiny, "folder": tiny.parent}
    with pytest.raises(SystemExit) as end:
        main(["tune", *(argument.format(**places) for argument in arguments)])
    assert end.value.code == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    said = shown.err.removeprefix("this is not JSON\n")
    assert sentence.format(**places) in said
    assert said.count("nutmill: ") == 1 and said.count("\n") == 1 and "Traceback" not in said


def test_an_error_of_a_process(tiny, nutmill):
    tiny.write_text("import pymc as pm\nx = [\n")
    done = nutmill("tune", f"{tiny}:model")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"nutmill: The model file {tiny} raised SyntaxError: '[' was never closed (line 2 of {tiny}).\n"
    )


@pytest.mark.parametrize("field", ["png", "profile"])
def test_files_that_cannot_be_written(made, field):
    path = Path("/proc/file")
    options = Options(None, 8, 1.0, (), Objective.wall, png=None, profile=None, keep=False)
    with pytest.raises(LayoutError, match="/proc/file cannot be written: "):
        write_files(made, options._replace(**{field: path}))


def test_a_png_needs_matplotlib(tiny, monkeypatch):
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "matplotlib" else find(name))
    result = run(f"{tiny}:model", "--png", tiny.with_name("heat.png"), code=1)
    assert "pip install matplotlib" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model.py"], "file.py:name"),
        (["model.py:"], "file.py:name"),
        (["model.py:m", "--chains", "0"], "--chains"),
        (["model.py:m", "--chains", "many"], "--chains"),
        (["model.py:m", "--budget", "0"], "positive"),
        (["model.py:m", "--budget", "inf"], "positive"),
        (["model.py:m", "--budget", "nan"], "positive"),
        (["model.py:m", "--objective", "fun"], "core_hours"),
        (["model.py:m", "--png", "/no/such/heat.png"], "--png"),
        (["model.py:m", "--profile", "/tmp"], "--profile"),
        (["model.py:m", "other.py:m"], "other.py:m"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_loaded(arguments, said):
    result = run(*arguments, code=2)
    assert said in result.stderr and result.stdout == ""


def test_objectives_are_those_of_the_sweep():
    assert tuple(one.value for one in Objective) == Objectives.__args__
