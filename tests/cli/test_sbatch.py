"""`nutmill sbatch`: the very text of its scripts, what is refused, and which layout it takes."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nutmill.cli.app import app
from nutmill.cli.job_scripts import slurm_time
from nutmill.layout.layout import Layout
from nutmill.layout.profile import load

TEMPLATES = Path(__file__).parents[2] / "tuning" / "slurm"
# How the templates were written, in a folder with model.py and layout.json.
COMMAND = shlex.split(
    "model.py:model --chains 64 --nodes 4 --cpus-per-node 16 --time 4h --seed 20261124 --layout layout.json --to run"
)


@pytest.fixture
def here(tmp_path, monkeypatch, made):
    """A folder with a model that need not be loaded, and a profile of two chains at once and two BLAS threads."""
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("raise RuntimeError('this is not to be loaded')\n")
    Path("layout.json").write_text(json.dumps(made.found.profile.as_dict()))
    return tmp_path


def written(*arguments, code=0):
    result = CliRunner().invoke(app, ["sbatch", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def job_json(*arguments):
    return json.loads(written(*arguments, "--json").stdout)


def directives(name="chains.sbatch", folder="run"):
    lines = (Path(folder) / name).read_text().splitlines()
    return [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]


@pytest.mark.parametrize("name", ["chains.sbatch", "merge.sbatch", "submit.sh"])
def test_templates_are_what_the_command_writes(here, name):
    """So the text is pinned: users read it before they submit it."""
    written(*COMMAND)
    assert (here / "run" / name).read_text() == (TEMPLATES / name).read_text()


@pytest.mark.parametrize("name", ["chains.sbatch", "merge.sbatch", "submit.sh"])
def test_scripts_are_shell_and_slurm_reads_all_of_its_lines(here, name):
    written(*COMMAND, "--setup", "module load python", "--option", "account=me", "--partition", "long")
    path = here / "run" / name
    subprocess.run(["bash", "-n", path], check=True)
    if name.endswith(".sbatch"):
        lines = path.read_text().splitlines()
        first_command = next(k for k, line in enumerate(lines) if not line.startswith("#"))
        assert lines[first_command] == "module load python"
        assert not any(line.startswith("#SBATCH") for line in lines[first_command:])
        assert {"--account=me", "--partition=long"} <= set(directives(name))


def test_a_layout_decides_the_cores_of_a_task(here):
    document = job_json("model.py:model", "--chains", 8, "--layout", "layout.json")
    assert (document["tasks"], document["cpus_per_task"], document["tasks_at_once"]) == (2, 4, 2)
    assert Layout.from_dict(document["layout"]) == load("run/layout.json").layout == Layout(2, 2, "mkl")
    assert "--layout run/layout.json" in Path("run/chains.sbatch").read_text()
    assert "--cpus-per-task=4" in directives()


def test_a_layout_of_a_busy_machine_is_taken_with_a_word(here):
    content = json.loads(Path("layout.json").read_text())
    content["sweep"]["confidence"] = "low"
    Path("busy.json").write_text(json.dumps(content))
    document = job_json("model.py:model", "--chains", 8, "--layout", "busy.json")
    assert document["cpus_per_task"] == 4 and Path("run/layout.json").exists()
    assert document["note"].startswith(
        "busy.json is taken as you say, but was measured with low confidence: tune again"
    )


def test_without_a_layout_a_task_has_a_core_a_chain(here):
    document = job_json("model.py:model", "--chains", 4, "--layout", "none")
    assert (document["layout"], document["cpus_per_task"]) == (None, 4)
    assert document["sampling"][-2:] == ["--cores", "4"]
    assert not Path("run/layout.json").exists()
    assert "--array=0-0" in directives()


def test_tasks_are_given_a_metric_that_was_asked_for(here):
    document = job_json("model.py:model", "--chains", 4, "--layout", "none", "--metric", "diag", "--centring", "off")
    assert document["sampling"][document["sampling"].index("--metric") + 1] == "diag"
    assert document["sampling"][document["sampling"].index("--centring") + 1] == "off"
    assert "--starts" not in document["sampling"]


def test_nodes_bound_the_cores_at_once(here):
    for nodes, at_once in ((1, 4), (2, 8), (9, 16)):
        arguments = ("--nodes", nodes, "--cpus-per-node", 16, "--layout", "none", "--to", f"run{nodes}")
        assert job_json("model.py:model", "--chains", 64, *arguments)["tasks_at_once"] == at_once
        throttle = f"%{at_once}" if at_once < 16 else ""
        assert f"--array=0-15{throttle}" in directives(folder=f"run{nodes}")


def test_tasks_share_a_seed_that_nobody_chose(here):
    first = job_json("model.py:model", "--chains", 8, "--layout", "none", "--to", "a")["sampling"]
    second = job_json("model.py:model", "--chains", 8, "--layout", "none", "--to", "b")["sampling"]
    assert first.index("--seed") == second.index("--seed") and first != second


@pytest.mark.parametrize("stem", ["a b", "a --wrap=cmd", "naïve", "$(x)", "a%j"])
def test_the_name_of_a_job_is_one_word(here, stem):
    Path(f"{stem}.py").touch()
    written(f"{stem}.py:model", "--chains", 4, "--layout", "none")
    (name,) = [line for line in directives() if line.startswith("--job-name")]
    assert re.fullmatch(r"--job-name=nutmill-[a-z.-]+", name, flags=re.ASCII)


@pytest.mark.parametrize("arguments", [["a\ntouch X\n.nut"], ["a\r.nut"], ["a.nut", "--data", "b\u2028.npz"]])
def test_a_line_break_in_a_name_is_refused(here, arguments):
    Path("b\u2028.npz").touch()
    assert "line breaks" in written(*arguments, "--chains", 4, code=2).stderr
    assert not Path("run").exists()


def test_submit_finds_its_folder_from_anywhere(here, tmp_path):
    """With a stand-in for sbatch that tells what it was given, and where."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sbatch").write_text('#!/bin/sh\necho "$PWD: $*" >>"$LOG"\necho "7;cluster"\n')
    (programs / "sbatch").chmod(0o755)
    for folder in ("run", tmp_path / "far" / "away"):
        written("model.py:model", "--chains", 8, "--layout", "none", "--to", folder)
        script, log = (tmp_path / folder / "submit.sh").resolve(), tmp_path / "log"
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "LOG": str(log)}
        done = subprocess.run(["bash", script], cwd="/", env=environment, capture_output=True, text=True, check=True)
        array, merge = log.read_text().splitlines()
        assert array == f"{tmp_path}: --parsable {folder}/chains.sbatch"
        expected = f"--parsable --dependency=afterok:7 --kill-on-invalid-dep=yes {folder}/merge.sbatch"
        assert merge == f"{tmp_path}: {expected}"
        assert done.stdout == f"Job 7 samples, then job 7 joins the chains into {folder}/result.nc.\n"
        log.unlink()


def test_a_folder_holds_one_job(here):
    written(*COMMAND)
    written(*COMMAND)
    before = {path.name: path.read_text() for path in Path("run").iterdir()}
    result = written(*COMMAND, "--draws", 5, code=1)
    assert "run holds another job (chains.sbatch differs)" in str(result.exception)
    assert {path.name: path.read_text() for path in Path("run").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model.py:model"], "--chains"),
        (["model.py", "--chains", "4"], "file.py:name"),
        (["model.py:model", "--chains", "0"], "--chains"),
        (["model.py:model", "--chains", "4", "--time", "soon"], "1h30m"),
        (["model.py:model", "--chains", "4", "--to", "my run"], "letters, digits"),
        (["model.py:model", "--chains", "4", "--to", "run%j"], "letters, digits"),
        (["model.py:model", "--chains", "4", "--option", "array=0-9"], "nutmill sets"),
        (["model.py:model", "--chains", "4", "--option", "a b"], "account=me"),
        (["model.py:model", "--chains", "4", "--option", "account=me\n#SBATCH --array=1"], "account=me"),
        (["model.py:model", "--chains", "4", "--partition", "a b"], "partition"),
        (["model.py:model", "--chains", "4", "--result", "../result.nc"], "result.nc"),
        (["model.py:model", "--chains", "4", "--setup", "a\nb"], "one line"),
        (["model.py:model", "--chains", "4", "--layout", "best"], "nutmill tune"),
    ],
)
def test_a_wrong_command_line_writes_nothing(here, arguments, said):
    result = written(*arguments, code=2)
    assert said in " ".join(result.stderr.split()) and result.stdout == ""
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no.py:model", "--chains", "4"], "there is no such file"),
        (["model.py:model", "--chains", "4", "--layout", "model.py"], "layout profile model.py cannot be"),
        (["model.py:model", "--chains", "4", "--layout", "none", "--nodes", "2"], "--cpus-per-node"),
        (["model.py:model", "--chains", "4", "--layout", "none", "--to", "model.py/run"], "cannot be written"),
    ],
)
def test_faults_are_one_sentence_and_write_nothing(here, monkeypatch, arguments, said):
    monkeypatch.setenv("PATH", "/nowhere")
    result = written(*arguments, code=1)
    assert said in str(result.exception)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "00:00:01"), (5400.0, "01:30:00"), (90061.0, "1-01:01:01"), (86400.0, "1-00:00:00")]
)
def test_limits_as_slurm_reads_them(seconds, text):
    assert slurm_time(seconds) == text
