"""Runs in folders from end to end: the same results, resumed with and without the model, and what is refused."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
import zoo
from campaigns.trials import FULL, in_child
from processes import environment
from run_folders import OPTIONS, QUIET, compiled
from same_results import assert_same

import nutmill
from nutmill import ArgumentError, CheckpointError, ModelError, sample_numba
from nutmill.checkpoint.manifest import read_manifest, sealed
from nutmill.results.trace import group


def test_a_run_in_a_folder_has_the_same_result(whole, reference):
    assert_same(nutmill.resume(whole, compiled(), **QUIET), reference)


def test_large_results_lie_in_files_and_can_be_changed(whole, reference, monkeypatch):
    monkeypatch.setattr("nutmill.results.result._LARGE_BYTES", 1)
    monkeypatch.setattr("nutmill.results.result.BLOCK_BYTES", 3000)
    result = nutmill.resume(whole, compiled(), **QUIET)
    assert len(list((whole / "result").iterdir())) > 5
    assert_same(result, reference)
    group(result, "posterior")["sigma"].values[...] = 0.0
    assert_same(nutmill.resume(whole, compiled(), **QUIET), reference)
    assert (group(result, "posterior")["sigma"].values == 0.0).all()


def test_more_draws_than_first_asked(tmp_path, reference):
    path = tmp_path / "run"
    sample_numba(compiled(), **OPTIONS | {"draws": 30}, checkpoint=path)
    assert_same(nutmill.resume(path, compiled(), draws=120, **QUIET), reference)
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["request"]["draws"] == manifest["settings"]["draws"] == 120


def test_status_of_a_finished_run(whole):
    status = nutmill.status(whole)
    assert (status["phase"], status["draws"], status["draws_requested"]) == ("finished", 120, 120)
    assert not status["is_running"] and status["owner"] is None
    assert [chain["draw"] for chain in status["chains"]] == [120] * 8
    with pytest.raises(CheckpointError, match="holds no run"):
        nutmill.status(whole.parent)


def test_status_of_a_run_under_way(tmp_path):
    seen = []
    path = tmp_path / "run"

    def look(*_):
        if (path / "status.json").exists() and len(seen) < 3:
            seen.append(nutmill.status(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nutmill.progress.show.NoProgress.update", look)
        patch.setattr("nutmill.progress.status.INTERVAL_S", 0.0)
        sample_numba(compiled(), **OPTIONS | {"draws": 30_000}, checkpoint=path)
    assert seen[-1]["is_running"]
    assert seen[-1]["owner"]["pid"] == os.getpid()
    assert seen[-1]["phase"] in ("warmup", "sampling")


def test_more_draws_than_the_disk_can_hold_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"8 chains of 10000000000 draws need about .* GB are free there"):
        sample_numba(compiled(), **OPTIONS | {"draws": 10**10}, checkpoint=tmp_path / "run")
    sample_numba(compiled(), **OPTIONS, checkpoint=tmp_path / "run")


def test_another_model_or_other_data_are_refused(whole):
    with pytest.raises(CheckpointError, match="is a run of another model: parameters"):
        nutmill.resume(whole, zoo.compiled("counts"), **QUIET)
    data = next(a for a in compiled().description.arrays if a.name == "y_data").value
    with pytest.raises(CheckpointError, match=r"on other data \(y_data\)"):
        nutmill.resume(whole, compiled().with_data(y_data=data + 1.0), **QUIET)


def test_a_folder_of_another_version_is_refused(tmp_path):
    sample_numba(compiled(), **OPTIONS, checkpoint=tmp_path)
    (tmp_path / "manifest.json").write_bytes(sealed(read_manifest(tmp_path) | {"schema": 99}))
    with pytest.raises(CheckpointError, match="resume it with that version"):
        nutmill.resume(tmp_path, compiled(), **QUIET)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(CheckpointError, match="is damaged"):
        nutmill.resume(tmp_path, compiled(), **QUIET)


RESUME = """
import hashlib, sys
import nutmill
from nutmill.results.trace import group
result = nutmill.resume(sys.argv[1], draws=120, progressbar=False, compute_convergence_checks=False)
assert not {"pymc", "pytensor"} & set(sys.modules)
print(hashlib.sha256(group(result, "posterior")["mu"].values.tobytes()).hexdigest())
"""


def test_another_process_resumes_from_the_folder_alone(tmp_path, reference):
    path = tmp_path / "run"
    sample_numba(compiled(), **OPTIONS | {"draws": 30}, checkpoint=path)
    command = [sys.executable, "-c", RESUME, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    expected = hashlib.sha256(group(reference, "posterior")["mu"].values.tobytes()).hexdigest()
    assert done.stdout.strip() == expected


def test_a_model_that_cannot_be_saved_has_to_be_passed(tmp_path, caplog):
    """Code that runs through a pointer stays in its process: the run is kept, and its model must be given again."""
    pointer, options = zoo.compiled("regression", fuse=False), OPTIONS | {"chains": 4}
    once = sample_numba(pointer, **options, checkpoint=tmp_path / "run")
    assert "will need the compiled model" in caplog.text
    with pytest.raises(CheckpointError, match=r"holds no model\.nut: pass the compiled model"):
        nutmill.resume(tmp_path / "run", **QUIET)
    assert_same(nutmill.resume(tmp_path / "run", pointer, **QUIET), once)
    with pytest.raises(CheckpointError, match="another model: fused False there, True here"):
        nutmill.resume(tmp_path / "run", compiled(), **QUIET)


def test_a_damaged_model_file_is_one_sentence(tmp_path):
    sample_numba(compiled(), **OPTIONS | {"draws": 5}, checkpoint=tmp_path / "run")
    with open(tmp_path / "run" / "model.nut", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(ModelError, match=r"model\.nut cannot be used"):
        nutmill.resume(tmp_path / "run", **QUIET)


def test_log_likelihood_needs_no_model(tmp_path):
    options = OPTIONS | {"draws": 20, "chains": 4, "idata_kwargs": {"log_likelihood": True}}
    whole = sample_numba(compiled(), **options, checkpoint=tmp_path / "run")
    for model in ([compiled()], []):
        assert_same(nutmill.resume(tmp_path / "run", *model, **QUIET), whole, ("posterior", "log_likelihood"))


def test_log_likelihood_that_the_folder_does_not_know(tmp_path, caplog):
    """A folder's model may have been saved without; the draws are more than nothing."""
    options = OPTIONS | {"draws": 20, "chains": 4, "idata_kwargs": {"log_likelihood": True}}
    whole = sample_numba(compiled(), **options, checkpoint=tmp_path / "run")
    compiled().save(tmp_path / "run" / "model.nut")
    without = nutmill.resume(tmp_path / "run", **QUIET)
    assert "The result has no log_likelihood: This model was saved without" in caplog.text
    assert_same(without, whole, ("posterior",))


def test_a_disk_without_room_for_the_model_is_one_sentence(tmp_path):
    """The run does not begin: it could not be resumed from its folder."""
    path = tmp_path / "run"

    def begin():
        sample_numba(compiled(), **OPTIONS, checkpoint=path)

    assert in_child(begin, file_bytes=20_000) == FULL
    assert not (path / "manifest.json").exists() and not (path / "model.nut").exists()
    begin()
    assert nutmill.status(path)["phase"] == "finished"


def test_a_model_of_pymc_goes_on_with_a_run(tmp_path):
    """It is compiled as it was: with the same variables to report."""
    once = nutmill.compile_model(zoo.regression(), var_names=["sigma", "mu"])
    whole = sample_numba(once, **OPTIONS, checkpoint=tmp_path / "run")
    assert_same(nutmill.resume(tmp_path / "run", zoo.regression(), **QUIET), whole)
    assert_same(nutmill.merge([tmp_path / "run"], zoo.regression(), compute_convergence_checks=False), whole)
    with pytest.raises(CheckpointError, match="is a run of another model"):
        nutmill.resume(tmp_path / "run", zoo.counts(), **QUIET)
    with pytest.raises(ArgumentError, match=r"A model is a pm\.Model"):
        nutmill.resume(tmp_path / "run", 17, **QUIET)
