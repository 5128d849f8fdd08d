"""`nutmill topology`: the numbers of a recorded machine and of this one, as a table and as JSON."""

import json
import re

import pytest
from typer.testing import CliRunner

from nutmill.cli.app import app
from nutmill.layout.machine.topology import topology
from nutmill.layout.machine.words import lines


def run(*arguments, code=0, columns=240):
    # Wide enough for the paths of temporary folders, whose lengths differ with the number of processes that test.
    result = CliRunner().invoke(app, ["topology", *map(str, arguments)], env={"COLUMNS": str(columns)})
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("columns", [80, 240])
def test_facts_of_a_recorded_machine(recorded_laptop, columns):
    shown = run("--root", recorded_laptop, columns=columns).stdout
    expected = []
    for what, value, source in lines(topology(recorded_laptop)):
        expected += [*what.split(), *value.split(), *source.split()]
    assert shown.split() == expected  # no word is broken, a path least of all
    assert all(len(line) <= columns for line in shown.splitlines() if " " in line.strip())


def test_json_of_a_recorded_machine(recorded_laptop):
    found = json.loads(run("--root", recorded_laptop, "--json").stdout)
    assert found == json.loads(json.dumps(topology(recorded_laptop).as_dict()))
    assert "blas" not in found


def test_this_machine_in_a_process(nutmill):
    done = nutmill("topology", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["n_cores"] >= 1 and found["bound_by"]
    assert found["fingerprint"] == topology().fingerprint()


def test_libraries_are_found_when_asked():
    found = json.loads(run("--blas", "--json").stdout)["blas"]
    own = found["libraries"][0]
    assert own["origin"] == "SciPy's" and own["can_limit"] is True and own["version"]
    shown = run("--blas").stdout
    assert own["name"] in shown and own["version"] in shown and "SciPy's" in shown


def test_no_library_is_said_so(monkeypatch):
    from nutmill.layout.blas.find import BlasSurvey

    monkeypatch.setattr("nutmill.layout.blas.find.survey_blas", lambda: BlasSurvey((), ("libfoo is [broken].",)))
    shown = run("--blas").stdout
    assert "No BLAS was found." in shown and "libfoo is [broken]." in shown


@pytest.mark.parametrize("where", ["missing", "file"])
def test_a_root_that_is_no_folder(tmp_path, where):
    (tmp_path / "file").write_text("")
    assert where in re.sub(r"[│\s]", "", run("--root", tmp_path / where, code=2).stderr)


def test_an_empty_root_is_a_machine_that_tells_nothing(tmp_path):
    assert json.loads(run("--root", tmp_path, "--json").stdout)["n_cores"] == 1


def test_a_recorded_machine_has_no_libraries(tmp_path):
    assert "--blas" in run("--root", tmp_path, "--blas", code=2).stderr
