"""Signals to commands while no chain is sampled: exit code 3, and the same draws when the run goes on.

Signals at random moments are a campaign (`campaigns.signals`).
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import saved
from processes import environment
from typer.testing import CliRunner

from nutmill import sample_numba
from nutmill.cli.app import app
from nutmill.results.storage import load
from nutmill.results.trace import group

SIZE = ["--seed", 3, "--draws", 50, "--tune", 50]
KEPT = ["--checkpoint", "run", "--resume", *SIZE]
# The model's file plays the scheduler: it runs in the process that is to be stopped.
AT_ONCE = "import os, signal\nos.kill(os.getpid(), signal.{})\n"
WHEN_THE_RESULT_IS_MADE = """
import os, signal, sys
import nutmill
model = nutmill.load("small.nut")
sys.addaudithook(lambda event, about: event == "os.mkdir" and str(about[0]) == "run/result" and stop())
stop = lambda: os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.nut").write_bytes(saved.content())


@pytest.fixture(scope="module")
def expected():
    options = {"draws": 50, "tune": 50, "random_seed": 3, "progressbar": False, "compute_convergence_checks": False}
    return group(sample_numba(saved.small(), **options), "posterior")["mu"].values


def run(*arguments, code=0):
    """Run a command in this process."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def start(*arguments, before=""):
    """Start a command in a process of its own, after a line of Python."""
    code = f"import os, signal, sys\nsys.argv[1:] = {[*map(str, arguments)]}\n"
    code += f"from nutmill import __main__\nfrom nutmill.cli.stopping import hold_signals\n{before}\n__main__.main()"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], env=environment(), **pipes)


def ended(process, code):
    """What a process says on stderr when it has ended with this code."""
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    return said


def assert_same(expected):
    np.testing.assert_array_equal(load(Path("draws.nc"))["posterior"]["mu"].values, expected)


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM", "SIGINT"])
def test_a_signal_while_the_model_is_loaded_ends_the_command(name, expected):
    Path("model.py").write_text(AT_ONCE.format(name))
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGTERM)
    said = run("sample", "model.py:model", *KEPT, code=3).stderr
    assert said == f"Stopped by {name}; run holds no run yet: give the command again.\n"
    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGTERM)) == before
    run("sample", "small.nut", *KEPT, "--out", "draws.nc")
    assert_same(expected)


def test_a_signal_while_the_result_is_made_ends_the_command(expected):
    Path("model.py").write_text(WHEN_THE_RESULT_IS_MADE)
    said = ended(start("sample", "model.py:model", *KEPT), 3)
    assert said.splitlines()[-1] == "Stopped by SIGUSR1; to go on: nutmill resume run"
    assert json.loads(run("status", "run", "--json").stdout)[0]["phase"] == "stopped"
    run("resume", "run", "--out", "draws.nc")
    assert_same(expected)


def test_a_run_that_goes_on_and_a_merge_end_in_the_same_way():
    run("sample", "small.nut", *KEPT)
    Path("model.py").write_text(AT_ONCE.format("SIGUSR1"))
    said = run("resume", "run", "--model", "model.py:model", code=3).stderr
    assert said == "Stopped by SIGUSR1; to go on: nutmill resume run\n"
    said = run("merge", "run", "--model", "model.py:model", "--out", "draws.nc", code=3).stderr
    assert said == "Stopped by SIGUSR1; nothing has changed: give the command again.\n"
    assert {path.name for path in Path().iterdir()} == {"model.py", "run", "small.nut"}


EARLY = "hold_signals(); os.kill(os.getpid(), signal.SIGUSR1)"


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGINT"])
def test_a_signal_before_the_command_is_known_is_one_sentence(name):
    said = ended(start("sample", "small.nut", *KEPT, before=EARLY.replace("SIGUSR1", name)), 3)
    assert said == f"Stopped by {name}; run holds no run yet: give the command again.\n"


def test_ctrl_c_before_the_command_is_known_is_a_line():
    assert ended(start("topology", before=EARLY.replace("SIGUSR1", "SIGINT")), 130) == "nutmill: Stopped by Ctrl-C.\n"


LATE = """
class Last:
    def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGUSR1):
        kill(process, number)
sys.modules["last"] = Last()
"""


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGINT"])
def test_the_end_of_a_process_is_its_own(name):
    """Python restores the default handlers before it tears down what libraries hold, which takes a while."""
    before = (EARLY + LATE).replace("SIGUSR1", name)
    assert f"Stopped by {name}" in ended(start("sample", "small.nut", *KEPT, before=before), 3)


@pytest.mark.parametrize("arguments", [["topology"], ["sample", "small.nut", "--out", "draws.nc"]], ids=" ".join)
def test_what_cannot_go_on_dies_of_the_signal(arguments):
    assert ended(start(*arguments, before=EARLY), -signal.SIGUSR1) == ""


def test_a_wanted_silence_stays():
    quiet = "signal.signal(signal.SIGUSR1, signal.SIG_IGN)"
    assert ended(start("topology", before=f"{quiet}; {EARLY}"), 0) == ""


def test_ctrl_c_without_a_folder_is_a_line():
    Path("model.py").write_text(AT_ONCE.format("SIGINT"))
    assert ended(start("sample", "model.py:model", "--out", "draws.nc"), 130) == "nutmill: Stopped by Ctrl-C.\n"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_comparison_that_is_ended_leaves_nothing_behind(tmp_path, name):
    """The first sampler's process shows that it is under way; the model's file is that of a pm.Model, named only."""
    Path("model.py").write_text("import pymc as pm\nwith pm.Model() as model:\n    pm.Normal('x')\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = f"import tempfile; tempfile.tempdir = {str(scratch)!r}"
    with start("compare", "model.py:model", "--sampler", "pymc", before=before) as process:
        deadline = time.monotonic() + 120
        while not list(scratch.glob("nutmill-compare-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(scratch.iterdir())
        process.send_signal(getattr(signal, name))
        process.communicate()
    assert process.returncode == -getattr(signal, name)
    assert not list(scratch.iterdir())
