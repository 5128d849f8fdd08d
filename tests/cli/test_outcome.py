"""How a command with draws ends: what is stored, said, and with which code."""

import json

import pytest
import typer
from diagnosis.test_diagnosis import good_posterior, good_stats

from nutmill import SamplingError
from nutmill.cli.outcome import Wanted, finish
from nutmill.results.trace import Draws, ModelData, to_arviz


def ended(tmp_path, capsys, attrs, **wanted):
    """Finish good draws; give the exit code, or the error, and what was printed."""
    result = to_arviz(Draws(good_posterior((4, 500)), good_stats((4, 500))), ModelData(), attrs={"/": attrs})
    asked = Wanted(tmp_path / "draws.nc", None, False, False)._replace(**wanted)
    with pytest.raises((typer.Exit, SamplingError)) as end:
        finish(result, asked)
    return getattr(end.value, "exit_code", end.value), capsys.readouterr().out


@pytest.mark.parametrize("stopped_by", [None, "until"])
def test_a_finished_run_exits_with_0(tmp_path, capsys, stopped_by):
    code, said = ended(tmp_path, capsys, {"interrupted": False, "stopped_by": stopped_by})
    assert code == 0 and said.endswith(f"Result: {tmp_path}/draws.nc\n")
    assert (tmp_path / "draws.nc").exists()


@pytest.mark.parametrize("stopped_by", ["SIGUSR1", "SIGTERM", "SIGINT", "max_time"])
def test_a_stopped_run_says_how_it_goes_on(tmp_path, capsys, stopped_by):
    """Also with --strict, because these draws are not the last word; and nothing is stored that looks finished."""
    attrs, run = {"interrupted": True, "stopped_by": stopped_by}, tmp_path / "run"
    code, said = ended(tmp_path, capsys, attrs, checkpoint=run, strict=True)
    assert code == 3 and said.startswith(f"Stopped by {stopped_by}; to go on: nutmill resume {run}\n")
    assert not (tmp_path / "draws.nc").exists()
    code, said = ended(tmp_path, capsys, attrs, checkpoint=run, json=True)
    assert code == 3 and json.loads(said)["is_resumable"]


def test_a_signal_without_a_folder_is_an_error_that_keeps_the_draws(tmp_path, capsys):
    error, said = ended(tmp_path, capsys, {"interrupted": True, "stopped_by": "SIGINT"})
    assert str(error) == "The result has what was drawn; with --checkpoint the run could go on from there."
    assert (tmp_path / "draws.nc").exists() and "Result: " in said


def test_a_time_limit_without_a_folder_is_what_was_asked(tmp_path, capsys):
    code, said = ended(tmp_path, capsys, {"interrupted": True, "stopped_by": "max_time"}, json=True)
    document = json.loads(said)
    assert (code, document["stopped_by"], document["is_resumable"]) == (0, "max_time", False)
    assert document["result"] == str(tmp_path / "draws.nc")
