"""Runs that are kept in a folder: the same draws as in memory, however they were stopped, damaged and resumed."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoint.checkpointed import SEED, SETTINGS, assert_same, facts_of, resume, run_alone, run_kept
from targets import Target, native, starts

from nutmill.checkpoint.folder import RunFolder
from nutmill.errors import CheckpointError, SamplingError
from nutmill.results.result import DrawsMaker
from nutmill.run import groups
from nutmill.run.checkpoints import Starts, read_groups
from nutmill.run.driver import drive
from nutmill.run.ending import Limits


@pytest.fixture(scope="module")
def reference():
    return run_alone()


@pytest.fixture(scope="module")
def longer():
    return run_alone(settings=SETTINGS._replace(draws=400))


def raise_when(condition, number=signal.SIGTERM):
    """Return a progress function that sends this process a signal once, when the condition holds."""
    sent = []

    def on_progress(rows):
        if not sent and condition(rows):
            sent.append(True)
            signal.raise_signal(number)

    return on_progress


@pytest.mark.parametrize("options", [{}, {"block_draws": 1}, {"block_draws": 7}, {"every_s": 60.0}])
def test_draws_in_a_folder_are_those_in_memory(tmp_path, reference, options):
    assert_same(run_kept(tmp_path / "run", **options), reference)


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_draws_do_not_depend_on_the_window(tmp_path, monkeypatch, reference, rows):
    monkeypatch.setattr(groups, "_WINDOW_BYTES", rows * (8 * 3 + 88))
    assert_same(run_kept(tmp_path / "run"), reference)


def test_a_finished_run_is_given_again(tmp_path, reference):
    run_kept(tmp_path / "run")
    assert_same(resume(tmp_path / "run"), reference)


def test_more_draws_are_those_of_a_longer_run(tmp_path, longer):
    run_kept(tmp_path / "run")
    assert_same(resume(tmp_path / "run", draws=400), longer)
    with RunFolder.open(tmp_path / "run") as folder:
        assert folder.manifest["settings"]["draws"] == 400


def test_fewer_draws_are_the_first_of_them(tmp_path, reference):
    run_kept(tmp_path / "run")
    run = resume(tmp_path / "run", draws=40)
    np.testing.assert_array_equal(np.stack(run.draws), reference.draws[:, :40])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_run_stopped_by_signals_goes_on_to_the_same_draws(tmp_path, longer, number):
    for condition in (
        lambda rows: rows[0].draw > 20,
        lambda rows: all(row.phase == "sampling" and row.draw > 50 for row in rows),
    ):
        options = {"interval_s": 0.0, "block_draws": 3, "on_progress": raise_when(condition, number)}
        before = signal.getsignal(number)
        if (tmp_path / "run").exists():
            run = resume(tmp_path / "run", **options)
        else:
            run = run_kept(tmp_path / "run", settings=SETTINGS._replace(draws=400), every_s=60.0, **options)
        assert run.interrupted
        assert run.ending.stopped_by == number.name
        assert signal.getsignal(number) is before
    assert 0 < len(run.draws[0]) < 400
    np.testing.assert_array_equal(np.stack(run.draws), longer.draws[:, : len(run.draws[0])])
    assert_same(resume(tmp_path / "run"), longer)


def test_a_chain_that_has_left_a_lesser_mode_goes_on_there_after_a_stop(tmp_path):
    """Stopped before and after it left: what it forgot and what it was given is in the checkpoint."""
    in_lesser = np.array([-20.0, -20.0, 20.0, 20.0])[:, None]
    begin, natives = Starts(starts(Target.LESSER_MODE, 4, 3) + in_lesser, SEED), [native(Target.LESSER_MODE, 3)]
    alone = drive(natives, begin, SETTINGS, threads=2)
    left_at = int(alone.warmup.restarted_at.max())
    assert left_at > 0
    with RunFolder.create(tmp_path / "run", facts_of(SETTINGS, 4), 0.0) as folder:
        stop = raise_when(lambda rows: rows[0].draw >= left_at - 3)
        options = {"interval_s": 0.0, "block_draws": 2, "on_progress": stop}
        assert drive(natives, begin._replace(folder=folder), SETTINGS, threads=2, **options).interrupted
    for more in (left_at + 2, left_at + 20):
        stop = raise_when(lambda rows, more=more: rows[0].draw >= more)
        assert resume(tmp_path / "run", natives=natives, interval_s=0.0, block_draws=2, on_progress=stop).interrupted
    run = resume(tmp_path / "run", natives=natives)
    assert_same(run, alone)
    np.testing.assert_array_equal(run.warmup.restarted_at, alone.warmup.restarted_at)


def test_sigterm_without_a_folder_is_left_alone():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        run = run_alone(on_progress=raise_when(lambda rows: True))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [True]
    assert not run.interrupted


def test_max_time_ends_a_run_that_can_be_resumed(tmp_path, longer):
    settings = SETTINGS._replace(draws=2_000_000, keep_divergences=False)
    run = run_kept(tmp_path / "run", settings=settings, every_s=60.0, limits=Limits(max_time_s=0.3))
    assert run.interrupted
    assert run.ending.stopped_by == "max_time"
    n_draws = len(run.draws[0])
    assert 0 < n_draws < 2_000_000
    again = resume(tmp_path / "run", draws=n_draws + 10)
    np.testing.assert_array_equal(np.stack(again.draws)[:, :n_draws], np.stack(run.draws))


def cut(path, n_bytes):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - n_bytes)


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def states_of(path, group=0):
    """Paths of the states of a group, the newest first."""
    found = sorted((path / "groups").glob(f"{group:05d}.*.state"), key=lambda state: state.stat().st_mtime_ns)
    return found[::-1]


@pytest.mark.parametrize("offset", [3, 20, 400, -1000, -1])
def test_with_a_damaged_newest_checkpoint_the_one_before_is_used(tmp_path, caplog, longer, offset):
    run_kept(tmp_path / "run", 4, block_draws=10)
    flip(states_of(tmp_path / "run")[0], offset)
    assert_same(resume(tmp_path / "run", draws=400), longer)
    assert "The newest checkpoint of chains [0, 1, 2, 3] is damaged: the one before is used." in caplog.messages


def test_with_a_lost_newest_checkpoint_the_one_before_is_used(tmp_path, longer):
    run_kept(tmp_path / "run", block_draws=10)
    states_of(tmp_path / "run")[0].unlink()
    assert_same(resume(tmp_path / "run", draws=400), longer)


@pytest.mark.parametrize("kind", ["draws", "warmup", "divergences"])
def test_what_no_checkpoint_knows_of_is_cut_off(tmp_path, longer, kind):
    run_kept(tmp_path / "run")
    with open(tmp_path / "run" / "chains" / f"00001.{kind}", "ab") as file:
        file.write(b"half a record")
    assert_same(resume(tmp_path / "run", draws=400), longer)


def run_of_two_checkpoints(path):
    """Make a run whose older checkpoint is at 150 draws and whose newer one is at 250."""
    run_kept(path, every_s=60.0)
    resume(path, draws=250, every_s=60.0)


def test_truncated_draws_go_back_to_the_checkpoint_before(tmp_path, longer):
    run_of_two_checkpoints(tmp_path / "run")
    cut(tmp_path / "run" / "chains" / "00002.draws", 5)
    assert_same(resume(tmp_path / "run", draws=400), longer)


def test_a_changed_draw_of_the_last_block_is_drawn_again(tmp_path, longer):
    run_of_two_checkpoints(tmp_path / "run")
    flip(tmp_path / "run" / "chains" / "00002.draws", -50)
    assert_same(resume(tmp_path / "run", draws=400), longer)


def test_a_run_that_no_checkpoint_can_save(tmp_path):
    run_of_two_checkpoints(tmp_path / "run")
    flip(tmp_path / "run" / "chains" / "00002.draws", 50)
    with pytest.raises(CheckpointError, match=r"of chains \[0, 1, 2, 3\] no checkpoint with its draws is whole"):
        resume(tmp_path / "run", draws=400)


def test_a_folder_holds_one_run(tmp_path):
    run_kept(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"holds a run already: go on with it by nutmill\.resume"):
        run_kept(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(CheckpointError, match=r"holds other files \(thesis.tex\)"):
        run_kept(tmp_path / "other")
    with pytest.raises(CheckpointError, match="holds no run that has begun"):
        resume(tmp_path / "other")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB: room for the longest warmup and 150 draws."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1000k", "none", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(small_disk, tmp_path):
    """What was saved before stays whole, and goes on once there is room."""
    settings = SETTINGS._replace(draws=3000)
    with pytest.raises(CheckpointError, match=r"cannot be written \(No space left on device\).* is whole: make room"):
        run_kept(small_disk / "run", settings=settings, block_draws=20)
    shutil.copytree(small_disk / "run", tmp_path / "roomy")
    assert_same(resume(tmp_path / "roomy"), run_alone(settings=settings))


def test_a_result_without_room_on_the_disk(small_disk, monkeypatch):
    """It is said before anything is written through memory, where the system would end the process."""
    monkeypatch.setattr("nutmill.results.result._LARGE_BYTES", 1)
    (small_disk / "result").mkdir()
    maker = DrawsMaker(None, 1, False, small_disk / "result")
    maker._empty((1000,), np.dtype("f8"))[...] = 1.0
    with pytest.raises(CheckpointError, match=r"disk cannot be written \(No space left on device\)"):
        maker._empty((1_000_000,), np.dtype("f8"))[...] = 1.0


def test_a_disk_that_is_full_from_the_start_is_one_sentence(small_disk):
    (small_disk / "ballast").write_bytes(bytes(990_000))
    with pytest.raises(CheckpointError, match="No space left on device"):
        run_kept(small_disk / "run")
    (small_disk / "ballast").unlink()
    run_kept(small_disk / "run")


def test_a_read_only_folder_is_one_sentence(small_disk, reference):
    run_kept(small_disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(CheckpointError, match=r"cannot be written \(Read-only file system\)"):
        resume(small_disk / "run", draws=200)
    with pytest.raises(
        CheckpointError, match=r"other cannot be a run's folder \(Read-only file system\): take another"
    ):
        run_kept(small_disk / "other")
    assert [group.store.n_written("draws", 0) for group in read_groups(small_disk / "run")] == [150]


@pytest.mark.parametrize(
    ("name", "why"), [("file", "it is a file"), ("file/run", "Not a directory"), ("x" * 300, "File name too long")]
)
def test_a_folder_that_cannot_be_made_was_never_there(tmp_path, name, why):
    """Nothing can be resumed: it must not be said that what was saved is whole, or that a folder is gone."""
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=rf"cannot be a run's folder \({why}\): take another, or get access\.$"):
        run_kept(tmp_path / name)


def test_a_chain_that_must_stop_leaves_the_checkpoints_before(tmp_path):
    points = np.zeros((2, 2))
    settings = SETTINGS._replace(draws=100_000)
    with (
        RunFolder.create(tmp_path / "run", facts_of(settings, 2, 0), 0.0) as folder,
        pytest.raises(SamplingError, match=r"Chain [01] had to stop"),
    ):
        drive([native(Target.STOPS, 2)], Starts(points, 0, folder=folder), settings, threads=2)
    with pytest.raises(SamplingError, match=r"Chain [01] had to stop"):
        resume(tmp_path / "run", natives=[native(Target.STOPS, 2)])


def test_windows_of_many_chains_stay_small():
    assert groups._window(10, 4) * (80 + 88) <= 4 << 20
    assert 1000 * groups._window(10, 1000) * (80 + 88) <= 256 << 20
    assert groups._window(10_000_000, 4) == 1


def test_the_page_on_run_folders_reads_draws_by_numpy_alone(tmp_path, monkeypatch, reference):
    run_kept(tmp_path / "run")
    page = (Path(__file__).parents[2] / "docs" / "run-folder.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    program = f'{code}\nprint(draws["position"].tobytes().hex(), draws["statistics"]["n_steps"].sum())'
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    positions, n_steps = done.stdout.split()
    assert positions == reference.draws[0].tobytes().hex()
    assert int(n_steps) == reference.statistics[0]["n_steps"].sum()


def test_draws_count_when_they_are_in_their_file(tmp_path):
    """A chain in native code is ahead of its file, which is what draws are judged from."""
    run_kept(tmp_path / "run")
    for group in read_groups(tmp_path / "run"):
        n_kept = len(group.store.read("draws", 0)[0])
        group.state.chains["n_draws"] += 50
        assert group.n_drawn(0) == n_kept + 50
        assert group.store.n_written("draws", 0) == len(group.store.read("draws", 0)[0]) == n_kept > 0
