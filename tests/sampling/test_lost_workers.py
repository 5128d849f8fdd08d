"""Workers that die, are told to end, or never tell what they did: nothing is lost, and it is said how to go on."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
from apart import (
    OPTIONS,
    QUIET,
    assert_equals_local_run,
    in_background,
    long,
    processes,
    sampling_process,
    short,
)
from same_results import assert_same

import nutmill
from nutmill import SamplingError, sample_numba
from nutmill.checkpoint.lock import read_owner
from nutmill.checkpoint.manifest import RUNNING


def test_a_killed_process_ends_a_pool_and_a_new_one_goes_on(tmp_path):
    path = tmp_path / "run"
    killing = in_background(lambda: os.kill(sampling_process(path)[0], signal.SIGKILL))
    with processes() as broken, pytest.raises(SamplingError, match=re.escape(f'nutmill.resume("{path}", executor=')):
        sample_numba(long(), **{**OPTIONS, "draws": 50_000}, executor=broken, checkpoint=path, every=0.05)
    killing()
    with processes() as executor:
        resumed = nutmill.resume(path, long(), draws=OPTIONS["draws"], executor=executor, **QUIET)
    assert_equals_local_run(resumed, "long")


def test_a_pool_that_is_broken_waits_for_no_process_that_was_slow_to_hear_of_it(tmp_path):
    """A process that stands still takes the two signals that a pool sends for one."""
    path = tmp_path / "run"

    def kill_one_of_two() -> None:
        sampling_process(path)
        owners = set()
        while len(owners) < 2:
            owners |= {owner.pid for part in (path / "parts").glob("*") if (owner := read_owner(part / "lock"))}
        killed, slow = owners
        os.kill(slow, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        time.sleep(1.0)
        os.kill(slow, signal.SIGCONT)

    killing = in_background(kill_one_of_two)
    with processes() as broken, pytest.raises(SamplingError, match="A worker died"):
        sample_numba(long(), **{**OPTIONS, "draws": 50_000}, executor=broken, checkpoint=path, every=0.05)
    killing()


def test_a_process_that_is_told_to_end_saves_its_draws_and_ends(tmp_path):
    path = tmp_path / "run"
    ending = in_background(lambda: os.kill(sampling_process(path)[0], signal.SIGTERM))
    with processes(1) as ended, pytest.raises(SamplingError, match="A worker died"):
        sample_numba(long(), **{**OPTIONS, "draws": 50_000}, executor=ended, checkpoint=path, every=0.05)
    ending()
    [part] = (path / "parts").iterdir()
    assert nutmill.status(part)["phase"] == "stopped"
    with processes() as executor:
        resumed = nutmill.resume(path, long(), draws=OPTIONS["draws"], executor=executor, **QUIET)
    assert_equals_local_run(resumed, "long")


def test_a_process_that_is_told_to_end_while_its_run_is_called_off_ends_too(tmp_path):
    path = tmp_path / "run"

    def call_off_and_end() -> None:
        pid, _ = sampling_process(path)
        os.kill(pid, signal.SIGSTOP)
        (path / RUNNING).unlink()
        time.sleep(0.5)  # It looks for this file four times a second, so that it sees both at once.
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)

    ending = in_background(call_off_and_end)
    with processes(1) as ended, pytest.raises(SamplingError, match="A worker died"):
        sample_numba(long(), **{**OPTIONS, "draws": 50_000}, executor=ended, checkpoint=path, every=0.05)
    ending()


def test_a_killed_process_without_a_folder_is_reported():
    with processes(1) as broken:
        pid = broken.submit(os.getpid).result()
        threading.Timer(1.0, os.kill, (pid, signal.SIGKILL)).start()
        with pytest.raises(SamplingError, match=r"\(BrokenProcessPool: .* 0 of 3 groups done: .*checkpoint="):
            sample_numba(long(), **{**OPTIONS, "draws": 100_000}, executor=broken)


UNGUARDED = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import pymc as pm
import nutmill

with pm.Model() as model:
    pm.Normal("x")
pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
nutmill.sample(model, draws=10, executor=pool, progressbar=False)
"""


def test_a_script_whose_processes_would_begin_it_again_is_told_what_to_write(tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED)
    ended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.endswith('what makes the pool and samples has to stand under `if __name__ == "__main__":`.')


class Losing(Executor):
    """Threads of this process, of which the first `n_lost` tasks never tell what they did."""

    def __init__(self, n_lost: int):
        self.n_lost = n_lost
        self._threads = ThreadPoolExecutor(1)

    def submit(self, function, /, *arguments):
        if self.n_lost == 0:
            return self._threads.submit(function, *arguments)
        self.n_lost -= 1
        lost = Future()
        lost.set_exception(OSError("the node went away"))
        return lost


def test_a_lost_task_is_sent_again(caplog):
    # All three groups, and two of them once more.
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=Losing(5)))
    assert "The worker of chains 0 to 3 was lost (OSError: the node went away)" in caplog.text


def test_a_task_that_is_lost_again_and_again(tmp_path):
    sentence = r"chains 0 to 3 were lost again and again \(OSError: the node went away\), with 0 of 1 groups done: "
    with pytest.raises(SamplingError, match=sentence + "nothing is kept"):
        sample_numba(short(), **{**OPTIONS, "chains": 4}, executor=Losing(3))
    with pytest.raises(SamplingError, match=sentence + "nutmill.resume"):
        sample_numba(short(), **{**OPTIONS, "chains": 4}, executor=Losing(3), checkpoint=tmp_path / "run")
    assert_same(
        nutmill.resume(tmp_path / "run", short(), **QUIET),
        sample_numba(short(), **{**OPTIONS, "chains": 4}),
        ("posterior",),
    )


def test_an_executor_that_is_shut_down():
    with processes(1) as executor:
        pass
    with pytest.raises(SamplingError, match=r"takes no tasks \(RuntimeError: cannot schedule"):
        sample_numba(short(), **OPTIONS, executor=executor)
