"""`nutmill status`: what it says of runs that go on, have ended, or were killed."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zoo
from typer.testing import CliRunner

from nutmill import sample_numba
from nutmill.cli.app import app
from nutmill.cli.status_command import lines

STATE = {
    "phase": "sampling",
    "draws": 650,
    "draws_requested": 1000,
    "divergences": 2,
    "gradients_per_s": 1234567.0,
    "left_s": 125.0,
    "stopped_by": None,
    "last_checkpoint": "2026-11-25T09:00:00Z",
    "updated": "2026-11-25T09:00:07Z",
    "is_running": True,
    "owner": {"host": "n1", "pid": 17},
    "chains": [
        {
            "chain": 4,
            "phase": "sampling",
            "draw": 650,
            "total": 1000,
            "step_size": 0.7041,
            "gradients": 9,
            "divergences": 2,
        }
    ],
}
KILLED = {"is_running": False, "left_s": 0.1}
BEGINS = {
    "phase": "waiting",
    "draws": 0,
    "gradients_per_s": None,
    "left_s": None,
    "last_checkpoint": None,
    "chains": [],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two parts of a run that have ended."""
    folder = tmp_path_factory.mktemp("runs")
    for first in (0, 4):
        options = {"chain_ids": range(first, first + 4), "checkpoint": folder / f"chains-{first}-{first + 3}"}
        quiet = {"progressbar": False, "compute_convergence_checks": False}
        sample_numba(zoo.compiled("regression"), draws=20, tune=20, chains=8, random_seed=1, **options, **quiet)
    return folder


def status_output(*arguments):
    result = CliRunner().invoke(app, ["status", *map(str, arguments)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def ago(seconds):
    return {"last_checkpoint": (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_a_run_under_way_shows_its_progress():
    head, chain = lines(Path("run"), STATE | ago(7260))
    assert head == (
        "run: sampling; 650/1000 draws, 2 divergent, 1.23M gradients/s, 2 min 5 s left, "
        "last checkpoint 2 h 1 min ago, process 17 on n1"
    )
    assert chain == "    chain 4: sampling 650/1000, 2 divergent, step size 0.704"


def test_a_killed_run_is_no_longer_running():
    assert lines(Path("run"), STATE | KILLED | ago(7260))[0] == (
        "run: no longer running, last seen in sampling; 650/1000 draws, 2 divergent, last checkpoint 2 h 1 min ago"
    )


def test_a_checkpoint_by_a_clock_that_is_ahead():
    assert f"last checkpoint at {ago(-3600)['last_checkpoint']}" in lines(Path("run"), STATE | ago(-3600))[0]


def test_a_run_that_has_just_begun_has_no_checkpoint():
    assert lines(Path("run"), STATE | BEGINS) == ["run: waiting; 0/1000 draws, 2 divergent, process 17 on n1"]


def test_runs_that_have_ended_say_why(runs):
    document = json.loads(status_output(runs / "chains-0-3", "--json"))
    assert [one["folder"] for one in document] == [str(runs / "chains-0-3")]
    assert (document[0]["phase"], document[0]["draws"], document[0]["is_running"]) == ("finished", 20, False)
    assert [chain["chain"] for chain in document[0]["chains"]] == [0, 1, 2, 3]
    said = status_output(runs).splitlines()
    assert [line.partition(":")[0] for line in said if not line.startswith(" ")] == [
        str(runs / "chains-0-3"),
        str(runs / "chains-4-7"),
    ]
    assert said[0].endswith("-3: finished; 20/20 draws, " + said[0].partition("draws, ")[2])


def test_watching_ends_with_the_runs(runs, monkeypatch):
    """Two looks: while one still runs, and when none does."""
    import nutmill

    answers = [STATE, STATE, STATE | KILLED, STATE | KILLED]
    monkeypatch.setattr(nutmill, "status", lambda run: answers.pop(0), raising=False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    said = status_output(runs, "--watch")
    assert answers == []
    assert said.count("650/1000 draws") == 4 and said.count("no longer running") == 2
