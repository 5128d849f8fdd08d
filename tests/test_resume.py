"""Run folders from end to end: resume, merge, status, warm starts, limits, and what is refused."""

import json
import os
import re

import numpy as np
import pytest
import xarray as xr
import zoo
from results import FROM_DRAWS, assert_same

import nutmill
from nutmill import CheckpointError, ModelError, adaptation_of
from nutmill.trace import group

QUIET = {"progressbar": False, "compute_convergence_checks": False}
EXTRAS = {"include_transformed": True, "divergences": True}
OPTIONS = {"draws": 120, "chains": 8, "random_seed": 3, "discard_tuned_samples": False, "idata_kwargs": EXTRAS, **QUIET}


def compiled():
    return zoo.compiled("regression")


@pytest.fixture(scope="module")
def reference():
    return compiled().sample(**OPTIONS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Make a finished run folder; tests must not change it."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    compiled().sample(**OPTIONS, checkpoint=path)
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    paths = [tmp_path_factory.mktemp("runs") / name for name in ("first", "second")]
    for path, chain_ids in zip(paths, (range(4), range(4, 8)), strict=True):
        compiled().sample(**OPTIONS, checkpoint=path, chain_ids=chain_ids)
    return paths


def test_a_run_in_a_folder_has_the_same_result(whole, reference):
    assert_same(nutmill.resume(whole, compiled(), **QUIET), reference)


def test_parts_join_to_the_one_run(parts, reference):
    first, second = parts
    assert_same(nutmill.merge([second, first], compiled(), compute_convergence_checks=False), reference)


def test_a_part_carries_its_chains(parts):
    part = nutmill.resume(parts[1], compiled(), **QUIET)
    assert group(part, "posterior")["chain"].values.tolist() == [4, 5, 6, 7]


def test_large_results_lie_in_files_and_can_be_changed(whole, reference, monkeypatch):
    monkeypatch.setattr("nutmill.expansion._LARGE_BYTES", 1)
    monkeypatch.setattr("nutmill.expansion._BLOCK_BYTES", 3000)
    result = nutmill.resume(whole, compiled(), **QUIET)
    assert len(list((whole / "result").iterdir())) > 5
    assert_same(result, reference)
    group(result, "posterior")["sigma"].values[...] = 0.0
    assert_same(nutmill.resume(whole, compiled(), **QUIET), reference)
    assert (group(result, "posterior")["sigma"].values == 0.0).all()


def test_more_draws_than_first_asked(tmp_path, reference):
    path = tmp_path / "run"
    compiled().sample(**OPTIONS | {"draws": 30}, checkpoint=path)
    assert_same(nutmill.resume(path, compiled(), draws=120, **QUIET), reference)
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["asked"]["draws"] == manifest["settings"]["draws"] == 120


def test_status(whole):
    status = nutmill.status(whole)
    assert (status["phase"], status["draws"], status["draws_asked"]) == ("finished", 120, 120)
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
        patch.setattr("nutmill.run.progress.NoProgress.update", look)
        patch.setattr("nutmill.run.status.INTERVAL_S", 0.0)
        compiled().sample(**OPTIONS | {"draws": 30_000}, checkpoint=path)
    assert seen[-1]["is_running"]
    assert seen[-1]["owner"]["pid"] == os.getpid()
    assert seen[-1]["phase"] in ("warmup", "sampling")


@pytest.mark.parametrize("tune", [0, 30])
def test_warm_start(reference, tmp_path, tune):
    state = adaptation_of(reference)
    state.save(tmp_path / "state.npz")
    state = nutmill.AdaptationState.load(tmp_path / "state.npz")
    options = {"draws": 50, "tune": tune, "chains": 4, "random_seed": 8, **QUIET}
    warm = compiled().sample(**options, adaptation_state=state)
    learned = group(warm, "adaptation")
    if tune == 0:
        np.testing.assert_array_equal(learned["step_size"].values, state.step_size[:4])
        np.testing.assert_array_equal(learned["variance"].values, state.variance[:4])
        assert group(warm, "sample_stats")["acceptance_rate"].mean() > 0.6
    again = compiled().sample(**options, adaptation_state=state, checkpoint=tmp_path / "run")
    assert_same(again, warm, FROM_DRAWS[:2] + FROM_DRAWS[-1:])


def test_the_state_survives_a_file_and_is_that_of_the_folder(reference, whole, tmp_path):
    reference.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "result.nc", engine="h5netcdf") as stored:
        from_file = adaptation_of(stored)
    for found in (from_file, adaptation_of(whole)):
        for mine, theirs in zip(found, adaptation_of(reference), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    unconstrained = group(reference, "unconstrained_posterior")["level"].values[:, -1]
    np.testing.assert_array_equal(adaptation_of(reference).position[:, :3], unconstrained)


def test_until_keeps_the_draws_of_a_fixed_count(tmp_path, reference):
    options = {**OPTIONS, "draws": 20_000, "until": {"ess": 500, "rhat": 1.05}}
    once = compiled().sample(**options)
    n_draws = group(once, "posterior").sizes["draw"]
    assert n_draws % 100 == 0 and n_draws < 20_000
    assert once.attrs["stopped_by"] == "until" and once.attrs["interrupted"] == 0
    again = compiled().sample(**options, cores=1, checkpoint=tmp_path / "run", every=0.01)
    assert_same(again, once)
    assert_same(nutmill.resume(tmp_path / "run", compiled(), **QUIET), once)
    more = nutmill.resume(tmp_path / "run", compiled(), draws=n_draws + 50, **QUIET)
    assert group(more, "posterior").sizes["draw"] == n_draws + 50


REFUSED = [
    ({"until": {"ess": 1e6}}, "have an effective sample size of at most"),
    ({"until": {"ess": 400}, "draws": 99}, "can never be met by 99 draws"),
    ({"until": {"rhat": 1.0}}, "can never be met: R-hat comes near 1 from above"),
    ({"until": {"rhat": 1.01}, "chains": 1}, "can never be met: one chain has no R-hat"),
    ({"until": {"neff": 400}}, 'until must be a dict with "ess", "rhat" or both'),
    ({"until": {"ess": -1}}, "ess must be a number above 0"),
    ({"until": {"ess": 400}, "chain_ids": range(4)}, "until judges all chains of a run together"),
    ({"max_time": 0}, "max_time must be a number of seconds above 0"),
    ({"every": 0}, "every must be a number of seconds above 0"),
    ({"checkpoint": 3}, "checkpoint must be the path of a folder"),
    ({"chain_ids": [1, 2]}, re.escape("[0, 1, 2, 3] rather than [1, 2] (of 8 chains)")),
    ({"chain_ids": [4, 5, 6, 7, 8]}, "each of chain_ids must be a whole number, between 0 and 7"),
    ({"chain_ids": []}, "chain_ids must name whole groups"),
    ({"adaptation_state": 3}, "adaptation_state must be what nutmill.adaptation_of gives"),
]


@pytest.mark.parametrize("changes, sentence", REFUSED)
def test_arguments_that_are_refused(changes, sentence):
    with pytest.raises(ModelError, match=sentence):
        compiled().sample(**OPTIONS | changes)


def test_adaptation_of_another_model(reference):
    state = adaptation_of(reference)
    with pytest.raises(ModelError, match="does not fit this model of 6 unconstrained values"):
        compiled().sample(**OPTIONS, adaptation_state=state._replace(variance=state.variance[:, 1:]))
    with pytest.raises(ModelError, match="must hold positive step sizes"):
        compiled().sample(**OPTIONS, adaptation_state=state._replace(step_size=-state.step_size))
    with pytest.raises(ModelError, match="There is no adaptation state in this"):
        adaptation_of(xr.Dataset())


def test_more_draws_than_the_disk_can_hold(tmp_path):
    with pytest.raises(ModelError, match=r"8 chains of 10000000000 draws need about .* GB are free there"):
        compiled().sample(**OPTIONS | {"draws": 10**10}, checkpoint=tmp_path / "run")
    compiled().sample(**OPTIONS, checkpoint=tmp_path / "run")


def test_another_model_or_other_data(whole):
    with pytest.raises(CheckpointError, match="is a run of another model: parameters"):
        nutmill.resume(whole, zoo.compiled("counts"), **QUIET)
    data = next(a for a in compiled().description.arrays if a.name == "y_data").value
    with pytest.raises(CheckpointError, match="on other data"):
        nutmill.resume(whole, compiled().with_data(y_data=data + 1.0), **QUIET)


def test_another_version(tmp_path):
    compiled().sample(**OPTIONS, checkpoint=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}))
    with pytest.raises(CheckpointError, match="resume it with that version"):
        nutmill.resume(tmp_path, compiled(), **QUIET)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(CheckpointError, match="is damaged"):
        nutmill.resume(tmp_path, compiled(), **QUIET)


def test_parts_that_do_not_belong_together(parts, tmp_path):
    first, second = parts
    with pytest.raises(CheckpointError, match="Of 8 chains these are missing: 4, 5, 6, 7"):
        nutmill.merge([first], compiled())
    with pytest.raises(CheckpointError, match="Chain 4 is in"):
        nutmill.merge([first, second, link(second, tmp_path / "twice")], compiled())
    with pytest.raises(CheckpointError, match="merge takes a list of run folders"):
        nutmill.merge(str(first), compiled())
    for number, (changes, sentence) in enumerate(
        [({"random_seed": 4}, "random_seed is 3 there and 4 here"), ({"tune": 50}, "tune is None there and 50 here")]
    ):
        compiled().sample(**OPTIONS | changes, checkpoint=tmp_path / str(number), chain_ids=range(4, 8))
        with pytest.raises(CheckpointError, match=sentence):
            nutmill.merge([first, tmp_path / str(number)], compiled())
    data = next(a for a in compiled().description.arrays if a.name == "y_data").value
    other = compiled().with_data(y_data=data + 1.0)
    other.sample(**OPTIONS, checkpoint=tmp_path / "data", chain_ids=range(4, 8))
    with pytest.raises(CheckpointError, match="on other data"):
        nutmill.merge([first, tmp_path / "data"], compiled())


def link(path, name):
    name.symlink_to(path)
    return name


def test_a_part_that_has_not_ended(parts, tmp_path):
    path = tmp_path / "run"
    compiled().sample(**OPTIONS, checkpoint=path, chain_ids=range(4, 8))
    nutmill.resume(path, compiled(), draws=100_000_000, max_time=0.2, **QUIET)
    manifest = json.loads((path / "manifest.json").read_text())
    first = json.loads((parts[0] / "manifest.json").read_text())
    for part in (manifest, first):
        part["asked"]["draws"] = part["settings"]["draws"] = 100_000_000
    assert manifest["asked"] | {"chain_ids": 0} == first["asked"] | {"chain_ids": 0}
    part = tmp_path / "part"
    part.mkdir()
    (part / "manifest.json").write_text(json.dumps(first))
    for name in ("chains", "groups"):
        link(parts[0] / name, part / name)
    with pytest.raises(CheckpointError, match=r"Chain 0 has 120 of 100000000 draws: resume"):
        nutmill.merge([part, path], compiled())
