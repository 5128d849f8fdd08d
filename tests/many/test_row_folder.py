"""Many fits in a folder: killed and gone on with, they are the bytes of a call that nothing happened to."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from many_models import effects, line, points, schools

from nutmill import CheckpointError, ModelError, sample_many

FAST = {"draws": 8, "tune": 10, "random_seed": 1, "progressbar": False}


def assert_same(one, other):
    assert list(one) == list(other)
    for group in one:
        assert one[group].to_dataset().identical(other[group].to_dataset()), group


def broken(sets, after):
    yield from sets[:after]
    raise OSError("gone")


@pytest.mark.parametrize(
    "keep", ["summary", "draws", lambda fit: {"x": fit.draws["slope"].mean()}], ids=["summary", "draws", "function"]
)
def test_what_was_done_is_not_done_again(tmp_path, keep):
    sets = points(3, 5, 2, 4, 4, 3)
    whole = sample_many(line(), sets, keep=keep, **FAST)
    options = {**FAST, "keep": keep, "checkpoint": tmp_path / "fits", "every": 1e-9}
    for after in (2, 5):
        with pytest.raises(ModelError, match=f"ended after {after} of them"):
            sample_many(line(), broken(sets, after), **options)
        assert len(list((tmp_path / "fits").glob("rows-*.npz"))) == after
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "fits").glob("rows-*.npz")}
    assert_same(sample_many(line(), iter(sets), **options), whole)
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    assert_same(sample_many(line(), sets, **options), whole)  # of which all has been done


SCRIPT = """
import sys
from many_models import effects, schools
from nutmill import sample_many
sample_many(schools(), effects(10_000), draws=20, random_seed=1, checkpoint=sys.argv[1], every=0.05, progressbar=False)
"""


@pytest.mark.slow
def test_killed_and_gone_on_with(tmp_path):
    folder, tests = tmp_path / "fits", str(Path(__file__).parents[1])
    path = os.pathsep.join([tests, *sys.path])
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)], env={**os.environ, "PYTHONPATH": path})
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("rows-*.npz"))) < 3 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = sum(len(np.load(file)["fits/failed"]) for file in folder.glob("rows-*.npz"))
    sets = effects(10_000)[: done + 5]
    options = {"draws": 20, "random_seed": 1, "progressbar": False}
    assert_same(sample_many(schools(), sets, checkpoint=folder, **options), sample_many(schools(), sets, **options))


def other_order(sets):
    return [sets[0], *sets[:0:-1]]


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (other_order, {}, "data sets 0 to 2 are others"),
        (lambda sets: sets[:1], {}, "data sets 0 to 2 are others"),
        (None, {"random_seed": 2}, "random_seed='1', not '2'"),
        (None, {"keep": "draws"}, "keep='summary', not 'draws'"),
    ],
    ids=["order", "fewer", "seed", "keep"],
)
def test_other_calls_are_refused(tmp_path, change, options, said):
    sets = points(3, 5, 4)
    sample_many(line(), sets, checkpoint=tmp_path / "fits", **FAST)
    with pytest.raises(CheckpointError, match=said):
        sample_many(line(), change(sets) if change else sets, checkpoint=tmp_path / "fits", **{**FAST, **options})


def test_another_model_is_refused(tmp_path):
    sample_many(line(), points(3), checkpoint=tmp_path / "fits", **FAST)
    with pytest.raises(CheckpointError, match="is a run of another model"):
        sample_many(schools(), effects(1), checkpoint=tmp_path / "fits", centring="off", **FAST)


def test_other_files_and_damage_are_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(CheckpointError, match="fits cannot be a run's folder"):  # not even root makes folders there
        sample_many(line(), points(3), checkpoint="/proc/fits", **FAST)
    with pytest.raises(CheckpointError, match="holds other files"):
        sample_many(line(), points(3), checkpoint=tmp_path, **FAST)
    sample_many(line(), points(3), checkpoint=tmp_path / "fits", **FAST)
    (file,) = (tmp_path / "fits").glob("rows-*.npz")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="is damaged"):
        sample_many(line(), points(3), checkpoint=tmp_path / "fits", **FAST)


def test_a_folder_of_an_earlier_version_is_gone_on_with(tmp_path):
    sets, folder = points(3, 5), tmp_path / "fits"
    whole = sample_many(line(), sets, checkpoint=folder, **FAST)
    facts = json.loads((folder / "request.json").read_text())
    facts["asked"] = facts.pop("request")
    (folder / "asked.json").write_text(json.dumps(facts))
    (folder / "request.json").unlink()
    assert_same(sample_many(line(), sets, checkpoint=folder, **FAST), whole)
    assert not (folder / "request.json").exists()
    with pytest.raises(CheckpointError, match="random_seed='1', not '2'"):
        sample_many(line(), sets, checkpoint=folder, **{**FAST, "random_seed": 2})
