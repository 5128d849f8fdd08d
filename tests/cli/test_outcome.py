"""How a command with draws ends: what is stored, said, and with which code."""

import json
import tempfile

import pytest
import typer
from diagnosis.test_diagnosis import good_posterior, good_stats

from nutmill import ModelError, SamplingError
from nutmill.cli.outcome import Wanted, finish
from nutmill.results.storage import load
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


def test_a_result_that_cannot_be_written_is_kept_elsewhere(tmp_path, capsys, monkeypatch):
    """Its folder has gone meanwhile, then the one of this process too, then that of temporary files."""
    gone, here, temporary = (tmp_path / name for name in ("gone", "here", "temporary"))
    here.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for place in (here, temporary):
        with pytest.raises(ModelError) as end:
            ended(tmp_path, capsys, {"interrupted": False}, out=gone / "draws.nc")
        (kept,) = place.glob("rescued-*-draws.nc")
        assert str(end.value).startswith(f"The result {gone}/draws.nc cannot be written: ")
        assert str(end.value).endswith(f"{kept.name}: move it to where it should be.")
        assert load(kept)["posterior"].sizes["draw"] == 500
        kept.unlink()
        place.rmdir()
    with pytest.raises(ModelError, match="what was drawn is lost"):
        ended(tmp_path, capsys, {"interrupted": False}, out=gone / "draws.nc")


def test_what_is_in_a_folder_is_not_kept_twice(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"draws\.nc cannot be written: [^:]*$"):
        ended(tmp_path, capsys, {"interrupted": False}, out=tmp_path / "gone/draws.nc", checkpoint=tmp_path / "run")
    assert not list(tmp_path.rglob("rescued-*"))
