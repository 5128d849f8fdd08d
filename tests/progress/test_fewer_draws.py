"""What status, progress lines and the command say of a run that kept fewer draws than its chains made."""

from run_folders import OPTIONS, QUIET, compiled
from typer.testing import CliRunner

import nutmill
from nutmill import sample_numba
from nutmill.cli.app import app
from nutmill.results.trace import group


def status_lines(path) -> list[str]:
    return CliRunner().invoke(app, ["status", str(path)]).stdout.splitlines()


def n_divergent(result) -> int:
    return int(group(result, "sample_stats")["diverging"].sum())


def test_status_after_draws_that_were_enough(tmp_path, capsys):
    """Chains draw on while they are judged; what is reported is what the result has."""
    options = {"draws": 4000, "chains": 4, "random_seed": 3, "compute_convergence_checks": False}
    result = sample_numba(compiled(), **options, until={"rhat": 1.5}, checkpoint=tmp_path / "run")
    n_draws = group(result, "posterior").sizes["draw"]
    assert n_draws < 4000
    assert f"4 chains: {4 * n_draws} draws in " in capsys.readouterr().err
    status = nutmill.status(tmp_path / "run")
    assert (status["phase"], status["stopped_by"], status["draws"]) == ("finished", "until", n_draws)
    assert status["divergences"] == n_divergent(result)
    assert [chain["draw"] for chain in status["chains"]] == [n_draws] * 4
    said = f"run: finished; {n_draws} draws, which are enough, {n_divergent(result)} divergent"
    assert said in status_lines(tmp_path / "run")[0]


def test_status_after_fewer_draws_than_there_are(tmp_path):
    sample_numba(compiled(), **OPTIONS | {"draws": 50, "chains": 4}, checkpoint=tmp_path / "run")
    result = nutmill.resume(tmp_path / "run", draws=10, **QUIET)
    status = nutmill.status(tmp_path / "run")
    assert (status["draws"], status["draws_requested"], status["divergences"]) == (10, 10, n_divergent(result))
    assert "run: finished; 10/10 draws" in status_lines(tmp_path / "run")[0]
    assert [(chain["draw"], chain["total"]) for chain in status["chains"]] == [(10, 10)] * 4


def test_what_a_terminal_obeys_is_not_printed(tmp_path):
    path = tmp_path / "run\x1b]0;owned\x07"
    sample_numba(compiled(), **OPTIONS | {"draws": 5, "chains": 4}, checkpoint=path)
    (line, *_) = status_lines(path)
    assert line.isprintable() and "run\ufffd]0;owned\ufffd: finished; 5/5 draws" in line
