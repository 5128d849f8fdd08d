"""A made-up outcome of `nutmill tune`, and the command in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment

from nutmill.cli.tuned import Tuned
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology
from nutmill.layout.profile import BlasKey, Profile
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.findings import Sweep
from nutmill.layout.search.measurements import Interval, Measurement, Timing
from nutmill.sampling.chosen_layout import ChosenLayout

CHOSEN = Layout(2, 2, "mkl")
SECONDS = {Layout(1): 0.01, Layout(1, 2): 0.008, Layout(2): 0.012, Layout(2, 2): 0.009} | {
    CHOSEN: 0.006,
    Layout(4, 2): 0.1,
}


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch):
    """Let Python write nothing beside a model's file, so that tests can tell what the command leaves there."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def made(recorded_laptop):
    """What a sweep found on a recorded laptop: two chains at once, two threads of MKL each."""
    measurements = tuple(Measurement(layout, Timing(s, 2 * s), 0.1, "scan", 0, 1.0) for layout, s in SECONDS.items())
    sweep = Sweep(Job(8, 4), measurements, CHOSEN, Layout(2, 2), Interval(1.5, 1.4, 1.6), "high", ("A note.",))
    machine = topology(recorded_laptop)
    profile = Profile(machine.fingerprint(), "a laptop", BlasKey("openblas", "1.2"), "abc", {}, sweep)
    found = ChosenLayout(CHOSEN, "sweep", profile, Path("/home/me/profiles/abc.json"), sweep.notes)
    return Tuned("gp.py:model", 3, machine, found, Path("heat.png"), None)


@pytest.fixture
def recorded_laptop(tmp_path):
    """The folder of a recorded machine."""
    from layout.conftest import files, write

    for path, content in files("laptop").items():
        write(tmp_path / "laptop", path, content)
    return tmp_path / "laptop"


@pytest.fixture
def nutmill():
    """Give a function that runs the command `nutmill`, and returns the finished process."""

    def run(*arguments, **variables):
        command = [sys.executable, "-m", "nutmill", *map(str, arguments)]
        options = {"capture_output": True, "text": True, "timeout": 300}
        return subprocess.run(command, env=environment(**variables), **options)

    return run
