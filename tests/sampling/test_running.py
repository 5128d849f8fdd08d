"""Runs that are seen and steered while they go on: by a callback, and by the handle of a run in the background."""

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from processes import output_of, start
from run_folders import OPTIONS, QUIET, compiled
from same_results import assert_same

import nutmill
from nutmill import ArgumentError, CheckpointError, NutmillError, sample_numba
from nutmill.results.trace import group
from nutmill.sampling import steering

# No test waits for their end.
ENDLESS = {"draws": 1_000_000, "chains": 4, "random_seed": 3, **QUIET}


@pytest.fixture(scope="module")
def reference():
    return sample_numba(compiled(), **OPTIONS)


@pytest.fixture(params=["memory", "folder"])
def kept(request, tmp_path):
    """Arguments of a run in memory, and of one in a folder."""
    return {} if request.param == "memory" else {"checkpoint": tmp_path / "run"}


@pytest.fixture
def often(monkeypatch):
    """Let callbacks be called with each report of the driver."""
    monkeypatch.setattr(steering, "_INTERVAL_S", 0.0)


def until_it(run, draws=1, seconds=60.0):
    """Wait until a run has some draws."""
    end_s = time.monotonic() + seconds
    while run.status()["draws"] < draws:
        assert time.monotonic() < end_s, run
        time.sleep(0.02)


def runs_left():
    return [thread for thread in threading.enumerate() if thread.name == "nutmill-run"]


def assert_begins(result, so_far):
    """See that draws so far are the first ones of a result, with its labels and statistics."""
    n_draws = group(so_far, "posterior").sizes["draw"]
    for name in ("posterior", "sample_stats"):
        for variable, values in group(so_far, name).data_vars.items():
            whole = group(result, name)[variable]
            assert values.dims == whole.dims
            assert values.values.tobytes() == whole.values[:, :n_draws].tobytes()


def test_a_run_in_the_background_is_the_run(reference, kept):
    run = sample_numba(compiled(), **OPTIONS, **kept, blocking=False)
    result = run.wait()
    assert_same(result, reference)
    assert run.wait(0.0) is run.draws() is run.stop() is result
    status = run.status()
    assert (status["phase"], status["is_running"], status["stopped_by"]) == ("finished", False, None)
    assert (status["draws"], status["draws_requested"]) == (OPTIONS["draws"],) * 2
    assert [chain["draw"] for chain in status["chains"]] == [OPTIONS["draws"]] * 8
    if kept:
        named = nutmill.status(kept["checkpoint"])
        same = set(named) - {"updated", "last_checkpoint", "owner", "left_s", "gradients_per_s"}
        assert {name: status[name] for name in same} == {name: named[name] for name in same}
    assert runs_left() == []


def test_what_a_callback_sees(reference, kept, often):
    """Counts that go up to the end, and draws that are those of the result; no draw differs for its looking."""
    seen, drawn = [], []

    def look(snapshot):
        seen.append(snapshot)
        drawn.append(snapshot.draws())
        time.sleep(0.01)  # so that some come between

    result = sample_numba(compiled(), **OPTIONS, **kept, callback=look)
    assert_same(result, reference)
    counts = [snapshot.n_draws for snapshot in seen]
    assert counts[-1] == [OPTIONS["draws"]] * 8 and (np.diff(counts, axis=0) >= 0).all()
    assert seen[-1].phase == "done" and {snapshot.phase for snapshot in seen} <= {"warmup", "sampling", "done"}
    stats = group(result, "sample_stats")
    assert seen[-1].divergences == stats["diverging"].sum("draw").values.tolist()
    np.testing.assert_allclose(seen[-1].step_size, group(result, "adaptation")["step_size"].values)
    assert [row.chain for row in seen[-1].chains] == list(range(8))
    for snapshot, draws in zip(seen, drawn, strict=True):
        assert group(draws, "posterior").sizes["draw"] == min(snapshot.n_draws)
        assert draws.attrs["interrupted"] == (min(snapshot.n_draws) < OPTIONS["draws"])
        assert_begins(result, draws)
    assert_begins(result, seen[len(seen) // 2].draws())  # also when the run is over
    assert "unconstrained_posterior" in str(drawn[-1])


def test_it_is_called_about_once_a_second(often, monkeypatch):
    monkeypatch.setattr(steering, "_INTERVAL_S", 0.6)
    times = []
    sample_numba(compiled(), **ENDLESS, max_time=2.0, callback=lambda snapshot: times.append(snapshot.seconds))
    assert 3 <= len(times) <= 4 and times == sorted(times)  # after 0.6, 1.2 and 1.8 s or later, and at the end
    assert min(times) >= 0.6


def fail(_snapshot):
    raise ValueError("the disk of the tracker is full")


def test_a_callback_that_raises_ends_the_run(reference, kept, often, caplog):
    result = sample_numba(compiled(), **OPTIONS | {"draws": 1_000_000}, **kept, callback=fail)
    assert (result.attrs["stopped_by"], result.attrs["interrupted"]) == ("callback", 1)
    said = [record.getMessage() for record in caplog.records]
    assert "callback has raised ValueError: the disk of the tracker is full" in said
    assert any(line.startswith("Stopped by callback after ") for line in said)
    assert "in fail" in caplog.text  # where it was raised
    if kept:
        assert nutmill.status(kept["checkpoint"])["phase"] == "stopped"
        assert_same(nutmill.resume(kept["checkpoint"], draws=OPTIONS["draws"], **QUIET), reference)


def test_a_callback_that_raises_at_the_end(reference, caplog):
    result = sample_numba(compiled(), **OPTIONS, callback=fail)
    assert_same(result, reference)
    assert result.attrs["interrupted"] == 0 and "the disk of the tracker is full" in caplog.text


@pytest.mark.parametrize("how", ["stop", "interrupt"])
def test_a_callback_can_end_the_run(how, often, caplog):
    n_calls = []

    def enough(snapshot):
        n_calls.append(snapshot)
        if min(snapshot.n_draws) > 0:
            if how == "interrupt":  # as callbacks of PyMC do
                raise KeyboardInterrupt
            snapshot.stop()

    result = sample_numba(compiled(), **ENDLESS, callback=enough)
    assert result.attrs["stopped_by"] == {"stop": "user", "interrupt": "callback"}[how]
    assert 0 < group(result, "posterior").sizes["draw"] < ENDLESS["draws"]
    assert "has raised" not in caplog.text


def test_draws_so_far_and_the_end_before_time(reference, kept):
    run = sample_numba(compiled(), **OPTIONS | {"draws": 1_000_000}, **kept, blocking=False)
    assert run.status()["phase"] in ("waiting", "warmup") and group(run.draws(), "posterior").sizes["draw"] == 0
    with pytest.raises(TimeoutError, match=r"^The run has not ended after 0\.01 s\. It goes on: wait again, or stop"):
        run.wait(timeout=0.01)
    until_it(run, draws=200)
    early = run.draws()
    state = run.status()
    assert (state["phase"], state["is_running"]) == ("sampling", True) and state["gradients_per_s"] > 0
    assert "sampling, " in repr(run) and "of 1000000 draws of each of 8 chains" in repr(run)
    result = run.stop()
    assert (result.attrs["stopped_by"], run.status()["phase"]) == ("user", "stopped")
    n_draws = group(result, "posterior").sizes["draw"]
    assert 200 <= group(early, "posterior").sizes["draw"] <= n_draws < 1_000_000
    assert_begins(result, early)
    n = OPTIONS["draws"]
    for name, values in group(reference, "posterior").data_vars.items():
        np.testing.assert_array_equal(group(result, "posterior")[name].values[:, :n], values.values)
    if kept:
        again = nutmill.resume(kept["checkpoint"], draws=n, blocking=False, **QUIET)
        assert_same(again.wait(), reference)


def test_a_folder_has_one_run_at_a_time(tmp_path):
    path = tmp_path / "run"
    run = sample_numba(compiled(), **ENDLESS, checkpoint=path, blocking=False)
    try:
        for begin in (
            lambda: sample_numba(compiled(), **ENDLESS, checkpoint=path, blocking=False),
            lambda: sample_numba(compiled(), **ENDLESS, checkpoint=path),
            lambda: nutmill.resume(path, blocking=False, **QUIET),
        ):
            with pytest.raises(CheckpointError, match="run is in use by another run of this process: wait until that"):
                begin()
            until_it(run)
        assert run.status()["is_running"]
    finally:
        run.stop()
    with pytest.raises(CheckpointError, match="holds a run already: go on with it"):
        sample_numba(compiled(), **ENDLESS, checkpoint=path, blocking=False)


def test_two_at_once_beside_one_that_blocks(reference):
    with ThreadPoolExecutor(1) as executor:
        runs = [sample_numba(compiled(), **OPTIONS, blocking=False) for _ in range(2)]
        other = executor.submit(sample_numba, compiled(), **OPTIONS)
        for result in [sample_numba(compiled(), **OPTIONS), other.result(), *(run.wait() for run in runs)]:
            assert_same(result, reference)


def test_what_ends_a_run_in_the_background_is_raised_where_it_is_waited_for(tmp_path, caplog):
    run = sample_numba(compiled(), **ENDLESS, checkpoint=tmp_path / "run", every=0.05, blocking=False)
    until_it(run)
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    for look in (run.wait, run.wait, run.draws, run.stop):
        with pytest.raises(CheckpointError, match="run is gone: it was deleted or renamed"):
            look()
    assert run.status()["phase"] == "failed" and "failed" in repr(run)
    assert "The run in the background has failed: " in caplog.text


def test_wrong_arguments_are_refused_before_anything_begins():
    for given, sentence in (
        ({"blocking": "no"}, "blocking must be True or False, not 'no'"),
        ({"callback": 3}, r"callback must be a function of one argument, a snapshot .*; not 3\."),
        ({"callback": lambda trace, draw: None}, "callback must be a function of one argument"),
    ):
        with pytest.raises(ArgumentError, match=sentence):
            sample_numba(compiled(), **OPTIONS, **given)
    run = sample_numba(compiled(), **OPTIONS, blocking=False)
    for timeout in (-1.0, "5", True):
        with pytest.raises(ArgumentError, match=r"^timeout must be a number of seconds, or None to wait to the end"):
            run.wait(timeout)
    run.wait(float("inf"))


def test_a_handle_that_nobody_has_ends_its_run(tmp_path):
    """Unless its draws are in a folder, where they can be found."""
    run = sample_numba(compiled(), **ENDLESS, blocking=False)
    until_it(run)
    del run
    gc.collect()
    for thread in runs_left():
        thread.join(timeout=30.0)
    assert runs_left() == []
    sample_numba(compiled(), **ENDLESS | {"draws": 500}, checkpoint=tmp_path / "run", blocking=False)
    gc.collect()
    for thread in runs_left():
        thread.join(timeout=30.0)
    assert nutmill.status(tmp_path / "run")["phase"] == "finished"


# From a file, without PyMC, which a process of its own would import for seconds.
AT_EXIT = """
import sys, time, nutmill
quiet = {{"progressbar": False, "compute_convergence_checks": False}}
run = nutmill.sample(nutmill.load({model!r}), draws=1_000_000, chains=4, random_seed=3, {kept}blocking=False, **quiet)
while run.status()["draws"] < 100:
    time.sleep(0.02)
{last}
"""


@pytest.fixture
def model(tmp_path):
    compiled().save(tmp_path / "model.nut")
    return str(tmp_path / "model.nut")


@pytest.mark.parametrize("last", [pytest.param("print('over')", marks=pytest.mark.slow), "sys.exit(0)"])
def test_the_end_of_the_interpreter_ends_the_run(tmp_path, model, last):
    """With its state saved: the same draws come again."""
    output_of(start(AT_EXIT.format(model=model, kept=f"checkpoint={str(tmp_path / 'run')!r}, ", last=last)))
    status = nutmill.status(tmp_path / "run")
    assert (status["phase"], status["stopped_by"], status["is_running"]) == ("stopped", "exit", False)
    saved = nutmill.resume(tmp_path / "run", compiled(), draws=100, **QUIET)
    whole = sample_numba(compiled(), **ENDLESS | {"draws": 100})
    assert_same(saved, whole, ("posterior", "sample_stats"))


WAITING = """
import _thread, threading
threading.Timer(0.3, _thread.interrupt_main).start()
try:
    run.wait()
except KeyboardInterrupt:
    before = run.status()["draws"]
    while run.status()["draws"] == before:
        time.sleep(0.02)
    print(run.status()["is_running"], run.stop().attrs["stopped_by"])
"""


def test_ctrl_c_ends_the_wait_and_not_the_run(model):
    assert output_of(start(AT_EXIT.format(model=model, kept="", last=WAITING))).split() == ["True", "user"]


def test_a_fork_has_no_run():
    run = sample_numba(compiled(), **ENDLESS, blocking=False)
    child = os.fork()
    if child == 0:
        try:
            run.wait()
        except NutmillError as error:
            os._exit(0 if "which this one is a fork" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run.stop().attrs["stopped_by"] == "user"
