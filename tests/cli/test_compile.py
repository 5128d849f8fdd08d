"""`nutmill compile`: a file in the place of a model, for this machine or for others."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nutmill
from nutmill.cli.app import app
from nutmill.cli.compile import Processors
from nutmill.native.processor import target

MODEL = "import pymc as pm\nwith pm.Model() as model:\n    x = pm.Data('x', [1.0, 2.0])\n    pm.Normal('y', x.sum())\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with the model."""
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL)


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["compile", "model.py:model", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_a_file_in_the_place_of_a_model():
    document = json.loads(run("--out", "model.nut", "--target", "x86-64-v3", "--json").stdout)
    assert document == {"model": "model.nut", "n_dim": 1, "n_bytes": Path("model.nut").stat().st_size}
    loaded = nutmill.load("model.nut")
    assert loaded.code.target.name == "x86-64-v3"
    assert loaded.logp_dlogp([3.0])[1] == [0.0]


def test_in_single_precision():
    Path("model.py").write_text("import pymc as pm\nwith pm.Model() as model:\n    pm.Normal('y', 0.1, 0.3, shape=3)\n")
    found = {}
    for dtype in ("float32", "float64"):
        run("--out", f"{dtype}.nut", "--dtype", dtype)
        found[dtype], _ = nutmill.load(f"{dtype}.nut").logp_dlogp([0.1, 0.7, 1.3])
    assert found["float32"] != found["float64"]
    assert found["float32"] == pytest.approx(found["float64"], rel=1e-5)


def test_in_the_forms_of_pytensor():
    run("--out", "model.nut", "--lowering", "numba")
    assert "lowered   by PyTensor's Numba forms" in nutmill.load("model.nut").report()


def test_without_its_data():
    assert run("--out", "model.nut", "--no-data").stdout.startswith("model.nut: 1 unconstrained values, ")
    assert nutmill.load("model.nut").with_data(x=[5.0, 5.0]).logp_dlogp([10.0])[1] == [0.0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--out"),
        (["--out", "model.bin"], "a file .nut"),
        (["--out", "none/model.nut"], "there is no folder"),
        (["--out", "model.nut", "--target", "x86-64-v9"], "x86-64-v4"),
        (["--out", "model.nut", "--dtype", "float16"], "float32"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments, said):
    assert said in run(*arguments, code=2).stderr
    assert not Path("model.nut").exists()


def test_processors_are_those_of_the_compiler():
    assert [target(one.value).name for one in Processors] == [one.value for one in Processors]
