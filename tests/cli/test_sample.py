"""`nutmill sample`, `resume`, `merge`: real runs in this process, the same draws whatever happened on the way."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zoo
from processes import environment
from typer.testing import CliRunner

from nutmill import sample_numba
from nutmill.cli.app import app
from nutmill.results.storage import load
from nutmill.results.trace import group

# Compiled once for all tests; the file is loaded anew by each command.
MODEL = "import zoo\nprint('this is not JSON')\nmodel = zoo.compiled('regression')\n"
SETTINGS = ("--seed", 7, "--tune", 100)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with the model."""
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL)


def run(command, *arguments, code=0):
    result = CliRunner().invoke(app, [command, *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def sample(*arguments, code=0):
    return run("sample", "model.py:model", *SETTINGS, *arguments, code=code)


def fault(command, *arguments):
    """The sentence of a command that fails."""
    return str(run(command, *arguments, code=1).exception)


def draws_of(path):
    return {name: values.values for name, values in load(Path(path))["posterior"].data_vars.items()}


def assert_same(path, other):
    first, second = draws_of(path), draws_of(other)
    assert set(first) == set(second) != set()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_the_result_is_that_of_python(tmp_path):
    document = json.loads(sample("--draws", 60, "--chains", 2, "--out", "draws.nc", "--json").stdout)
    expected = sample_numba(
        zoo.compiled("regression"),
        draws=60,
        chains=2,
        tune=100,
        random_seed=7,
        progressbar=False,
        compute_convergence_checks=False,
    )
    for name, values in group(expected, "posterior").data_vars.items():
        np.testing.assert_array_equal(draws_of("draws.nc")[name], values.values)
    assert (document["result"], document["checkpoint"], document["stopped_by"]) == ("draws.nc", None, None)
    assert (document["chain_ids"], document["draws"], document["is_resumable"]) == ([0, 1], 60, False)


def test_text_says_what_is_to_be_known():
    said = sample("--draws", 60, "--chains", 2, "--out", "draws.zarr")
    lines = said.stdout.splitlines()
    assert lines[0].startswith("2 chains x 60 draws in ") and lines[-1] == "Result: draws.zarr"
    assert "this is not JSON" in said.stderr and "this is not JSON" not in said.stdout
    assert load(Path("draws.zarr"))["posterior"].sizes["draw"] == 60


def test_the_file_of_a_result_is_named_after_the_model():
    assert sample("--draws", 20, "--chains", 2).stdout.splitlines()[-1] == "Result: model.nc"
    before = Path("model.nc").read_bytes()
    refused = " ".join(sample("--draws", 30, code=2).stderr.replace("│", "").split())
    assert "model.nc is there already: name another file with --out, or write --out model.nc to replace it." in refused
    assert "(is model.py meant?)" in fault("sample", "model:model")
    assert Path("model.nc").read_bytes() == before
    sample("--draws", 30, "--out", "model.nc")
    assert load(Path("model.nc"))["posterior"].sizes["draw"] == 30
    sample("--draws", 20, "--checkpoint", "run")
    assert load(Path("model.nc"))["posterior"].sizes["draw"] == 30


def test_strict_judges_the_draws():
    document = json.loads(sample("--draws", 20, "--out", "draws.nc", "--strict", "--json", code=4).stdout)
    assert {finding["kind"] for finding in document["findings"]} >= {"ess"}
    assert Path("draws.nc").exists()


def test_a_stopped_run_is_resumed_to_the_same_draws():
    """Twice by its time, and then to the end: as if nothing had been."""
    sample("--draws", 400, "--out", "whole.nc")
    arguments = ("--draws", 400, "--checkpoint", "run", "--out", "draws.nc")
    document = json.loads(sample(*arguments, "--max-time", "0.001", "--json", code=3).stdout)
    assert (document["stopped_by"], document["is_resumable"], document["result"]) == ("max_time", True, None)
    assert document["draws"] < 400 and not Path("draws.nc").exists()
    stopped = run("resume", "run", "--model", "model.py:model", "--max-time", "0.001", "--out", "draws.nc", code=3)
    assert "to go on: nutmill resume run" in stopped.stdout
    assert stopped.stdout.splitlines()[-1] == "draws.nc is written once the run has all its draws."
    sample(*arguments, "--resume")
    assert_same("draws.nc", "whole.nc")
    run("resume", "run", "--model", "model.py:model", "--out", "again.zarr")
    assert_same("again.zarr", "whole.nc")


def test_a_run_is_given_more_draws():
    sample("--draws", 90, "--out", "whole.nc")
    sample("--draws", 30, "--checkpoint", "run")
    run("resume", "run", "--model", "model.py:model", "--draws", 60, "--out", "draws.nc")
    assert draws_of("draws.nc")["mu"].shape[1] == 60
    sample("--draws", 90, "--checkpoint", "run", "--resume", "--out", "draws.nc")
    assert_same("draws.nc", "whole.nc")


def test_a_run_with_settings_of_its_own_keeps_them():
    own = ("--metric", "diag", "--starts", "prior", "--centring", "off")
    sample("--draws", 60, *own, "--out", "whole.nc")
    sample("--draws", 30, *own, "--checkpoint", "run")
    said = fault("sample", "model.py:model", "--checkpoint", "run", "--resume", *SETTINGS)
    assert "other values of --metric, --starts:" in said
    sample("--draws", 60, *own, "--checkpoint", "run", "--resume", "--out", "draws.nc")
    assert_same("draws.nc", "whole.nc")
    settings = json.loads(Path("run/manifest.json").read_text())["settings"]
    assert (settings["metric"], settings["centring"]) == ("diag", "off")


def test_resume_asks_for_the_same_run():
    sample("--draws", 30, "--checkpoint", "run")
    assert "holds a run already: go on with it by --resume" in fault("sample", "model.py:model", "--checkpoint", "run")
    others = ("--resume", "--seed", 8, "--tune", 101, "--keep-warmup", "--target-accept", 0.9, "--chains", 8)
    said = fault("sample", "model.py:model", "--checkpoint", "run", *others)
    assert "--tune, --chains, --chain-ids, --seed, --target-accept, --keep-warmup" in said
    Path("model.py").write_text("import zoo\nmodel = zoo.compiled('counts')\n")
    said = fault("sample", "model.py:model", "--checkpoint", "run", "--resume", *SETTINGS, "--draws", 30)
    assert "another model" in said


def test_the_same_command_gives_the_same_run_again():
    sample("--draws", 30, "--checkpoint", "run", "--out", "first.nc")
    sample("--draws", 30, "--checkpoint", "run", "--out", "again.nc")
    assert_same("first.nc", "again.nc")
    said = fault("sample", "model.py:model", "--checkpoint", "run", *SETTINGS, "--tune", 101)
    assert "holds a run with other values of --tune" in said


def test_resume_begins_where_nothing_has_begun():
    sample("--draws", 30, "--out", "whole.nc")
    Path("run").mkdir()
    sample("--draws", 30, "--checkpoint", "run", "--resume", "--out", "draws.nc")
    assert_same("draws.nc", "whole.nc")


def test_parts_are_merged_to_the_whole_run():
    sample("--draws", 50, "--chains", 10, "--out", "whole.nc")
    for ids in ("0-3", "4-7"):
        sample("--draws", 50, "--chains", 10, "--chain-ids", ids, "--checkpoint", f"part-{ids}")
    merge = ("part-0-3", "part-4-7", "--model", "model.py:model", "--out", "draws.nc")
    assert "Of 10 chains these are missing: 8, 9." in fault("merge", *merge)
    assert not Path("draws.nc").exists()
    assert json.loads(run("merge", *merge, "--partial", "--json").stdout)["chain_ids"] == list(range(8))
    sample("--draws", 50, "--chains", 10, "--chain-ids", "8-9", "--checkpoint", "part-8-9")
    document = json.loads(run("merge", "part-8-9", *merge, "--json").stdout)
    assert document["chain_ids"] == list(range(10)) and document["result"] == "draws.nc"
    assert_same("draws.nc", "whole.nc")
    run("merge", "part-8-9", *merge, "--strict", code=4)


def test_diagnostics_of_runs_that_are_not_over():
    arguments = ("--draws", 10_000_000, "--chains", 8, "--max-time", "0.1s", "--cores", 4)
    for ids in ("0-3", "4-7"):
        sample(*arguments, "--chain-ids", ids, "--checkpoint", f"run/chains-{ids}", code=3)
    whole = json.loads(run("diagnose", "run", "--model", "model.py:model", "--json").stdout)
    part = json.loads(run("diagnose", "run/chains-4-7", "--model", "model.py:model", "--json").stdout)
    assert whole["chain_ids"] == list(range(8)) and part["chain_ids"] == [4, 5, 6, 7]
    assert 0 <= whole["draws"] <= part["draws"] < 10_000_000


def test_until_ends_a_run_early():
    arguments = ("--draws", 2000, "--until", "ess=50", "--out", "draws.nc", "--json")
    document = json.loads(sample(*arguments).stdout)
    assert (document["stopped_by"], document["draws"]) == ("until", 200)
    assert not document["is_resumable"]


def test_a_time_limit_without_a_folder_gives_what_there_is():
    options = ("--chains", 2, "--draws", 2_000_000, "--max-time", "0.2s")
    document = json.loads(sample(*options, "--out", "draws.nc", "--json").stdout)
    assert document["stopped_by"] == "max_time" and document["draws"] < 2_000_000
    assert draws_of("draws.nc")["mu"].shape[1] == document["draws"]


def test_other_data_come_from_a_file():
    y = np.linspace(-3.0, 3.0, 10)
    np.savez("data.npz", y_data=y)
    sample("--draws", 20, "--chains", 1, "--data", "data.npz", "--out", "draws.nc")
    np.testing.assert_array_equal(load(Path("draws.nc"))["observed_data"]["y"].values, y)
    Path("data.npz").write_text("these are no arrays")
    said = fault("sample", "model.py:model", "--data", "data.npz", "--out", "draws.nc")
    assert "data.npz cannot be read" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sample", "model.py:model", "--out", "a.nc", "--resume"], "name its folder"),
        (["sample", "model.py:model", "--out", "a.nc", "--chains", "4", "--chain-ids", "4-7"], "the last of"),
        (["sample", "model.py:model", "--out", "a.nc", "--chain-ids", "0-1"], "0-3 rather than 0-1 (of --chains 4)"),
        (["sample", "model.py:model", "--out", "a.nc", "--chain-ids", "7-4"], "ends before it begins"),
        (["sample", "model.py:model", "--out", "a.nc", "--until", "ess=lots"], "ess is a number"),
        (["sample", "model.py:model", "--out", "a.nc", "--max-time", "soon"], "1h30m"),
        (["sample", "model.py:model", "--out", "a.nc", "--every", "0s"], "1h30m"),
        (["sample", "model.py:model", "--out", "a.nc", "--target-accept", "1.5"], "between 0 and 1"),
        (["sample", "model.py:model", "--out", "a.csv"], "file .nc or a folder .zarr"),
        (["sample", "model.py:model", "--out", "a.nc", "--draws", "0"], "--draws"),
        (["sample", "model.py:model", "--out", "a.nc", "--layout", "best"], "nutmill tune"),
        (["sample", "model.py:model", "--out", "a.nc", "--data", "none.npz"], "does not exist"),
        (["sample", "model.py", "--out", "a.nc"], "file.py:name"),
        (["resume"], "FOLDER"),
        (["resume", "run", "--data", "data.npz"], "data.npz"),
        (["merge", "run"], "--out"),
        (["merge", "--out", "a.nc"], "FOLDER"),
        (["status"], "FOLDER"),
        (["status", "run", "--watch", "--json"], "leave out one"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_loaded(arguments, said):
    result = run(*arguments, code=2)
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == "" and "this is not JSON" not in result.stderr
    assert {path.name for path in Path().iterdir()} == {"model.py"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sample", "no.py:model", "--out", "a.nc"], "there is no such file"),
        (["sample", "model.py:modle", "--out", "a.nc"], "has no 'modle'"),
        (["sample", "model.py:model", "--out", "none/a.nc"], "there is no folder none"),
        (["resume", "none"], "holds no run"),
        (["merge", "none", "--out", "a.nc"], "holds no run"),
        (["status", "none"], "holds no run"),
        (["diagnose", "none"], "holds no run"),
    ],
)
def test_faults_are_one_sentence_and_leave_nothing(arguments, said):
    assert said in fault(*arguments)
    assert {path.name for path in Path().iterdir()} == {"model.py"}


def test_a_process_without_pymc_samples_a_saved_model(nutmill):
    """The file is all that it needs; and what is wrong with a file is one sentence."""
    zoo.compiled("regression").save("model.nut")
    arguments = ("--seed", 7, "--tune", 100, "--draws", 60, "--chains", 2)
    code = "import sys; sys.modules['pymc'] = sys.modules['pytensor'] = None; from nutmill.cli.app import main; main()"
    command = [sys.executable, "-c", code, "sample", "model.nut", *map(str, arguments), "--out", "draws.nc"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Result: draws.nc"), done.stderr
    sample("--draws", 60, "--chains", 2, "--out", "whole.nc")
    assert_same("draws.nc", "whole.nc")
    Path("model.nut").write_bytes(Path("model.nut").read_bytes()[:-100])
    done = nutmill("sample", "model.nut", "--out", "draws.nc")
    (said,) = [line for line in done.stderr.splitlines() if not line.startswith("Loading model.nut (")]  # in seconds
    assert done.returncode == 1 and said.startswith("nutmill: The model model.nut cannot be used: ")


def test_a_model_that_takes_long_to_load_says_so(nutmill):
    Path("slow.py").write_text("import time\ntime.sleep(3)\nraise RuntimeError('no data')\n")
    done = nutmill("sample", "slow.py:model", "--out", "draws.nc", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    loading, error = done.stderr.splitlines()
    assert loading == "Loading slow.py (2 s)"
    assert error.startswith("nutmill: The model file slow.py raised RuntimeError: no data (line 3 of slow.py: ")
