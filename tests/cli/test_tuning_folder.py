"""The folder `tuning`: its models are models, its scripts run, its documents show commands that exist."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment
from typer.main import get_command

from nutmill import compile_model
from nutmill.cli.app import app
from nutmill.cli.model_file import ModelPlace, load_model

ROOT = Path(__file__).parents[2]
TUNING = ROOT / "tuning"
SLURM = TUNING / "slurm"
README = (TUNING / "README.md").read_text()
TUNE = SLURM / "tune.sbatch"
TEMPLATES = sorted(SLURM.glob("*.sbatch"))

TINY = "import pymc as pm\nwith pm.Model() as model:\n    pm.Normal('x', shape=2)\n"

# Runs what follows the options of srun, in the place of Slurm.
SRUN = """#!/bin/bash
[[ $1 == --cpus-per-task=2 ]] || exit 64
shift
exec "$@"
"""


def commands(text):
    """Commands of nutmill in a document's blocks of shell."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("nutmill ")]


def parsed(arguments):
    """Parse a command line without running it; raises what the command would exit with."""
    group = get_command(app)
    context = group.make_context("nutmill", list(arguments), resilient_parsing=False)
    name, command, rest = group.resolve_command(context, arguments)
    return name, command.make_context(name, rest, parent=context).params


SHOWN = commands(README) + commands((ROOT / "README.md").read_text())


@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_commands_of_both_readmes_parse(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layout.json").touch()
    name, values = parsed(arguments)
    assert name == arguments[0]
    if name == "tune" and str(values["model"].path).startswith("tuning/"):
        assert (ROOT / values["model"].path).is_file()


def test_commands_are_found_and_checked():
    assert commands("```sh\nnutmill a --b  # c\nsbatch x\n```\nnutmill d\n") == [["a", "--b"]]
    assert len(commands(README)) > 5
    with pytest.raises(Exception, match="chians"):
        parsed(["tune", "a.py:b", "--chians", "3"])


def test_the_readme_names_every_model_and_template():
    for path in [*(TUNING / "models").glob("*.py"), *SLURM.iterdir()]:
        assert str(path.relative_to(ROOT)) in README or str(path.relative_to(TUNING)) in README


@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS:UserWarning")  # which initial_point() looks for
@pytest.mark.parametrize(("name", "n_dim"), [("gp", 3), ("regression", 52), ("schools", 10), ("lkj", 8211)])
def test_models_are_models(name, n_dim):
    path = TUNING / "models" / f"{name}.py"
    assert "build" in {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    model = load_model(ModelPlace(path, "model"))
    assert sum(value.size for value in model.initial_point().values()) == n_dim


@pytest.mark.slow
@pytest.mark.parametrize(("name", "has_blas"), [("gp", True), ("regression", False), ("schools", False), ("lkj", True)])
def test_models_compile_and_use_the_blas_as_they_say(name, has_blas):
    compiled = compile_model(load_model(ModelPlace(TUNING / "models" / f"{name}.py", "model")))
    assert bool(compiled.code.native.blas_routines) == has_blas


def test_the_script_is_the_command():
    script = [sys.executable, str(TUNING / "tune.py")]
    options = {"env": environment(), "capture_output": True, "text": True}
    done = subprocess.run([*script, "no.py:model"], **options)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nutmill: The model file no.py cannot be read: there is no such file.\n"
    assert subprocess.run([*script, "no.py"], **options).returncode == 2


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_are_job_scripts(path):
    text = path.read_text()
    subprocess.run(["bash", "-n", path], check=True)
    assert text.startswith("#!/bin/bash\n") and "set -euo pipefail\n" in text
    head = text[: text.index("set -euo pipefail")]
    assert re.findall(r"^#SBATCH .*", text, flags=re.MULTILINE) == re.findall(r"^#SBATCH .*", head, flags=re.MULTILINE)
    for option in ("--ntasks=1", "--nodes=1", "--cpus-per-task="):
        assert f"\n#SBATCH {option}" in head
    assert all(line.startswith("#") for line in head.splitlines())  # Slurm stops reading at the first command
    assert '\nsrun --cpus-per-task="$SLURM_CPUS_PER_TASK" ' in text


def submit(script, folder, *arguments, **variables):
    """Run a job script as Slurm would: in a folder, with its variables, srun a stand-in."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "srun").write_text(SRUN)
    (programs / "srun").chmod(0o755)
    (programs / "nutmill").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nutmill "$@"\n')
    (programs / "nutmill").chmod(0o755)
    (programs / "python").unlink(missing_ok=True)
    (programs / "python").symlink_to(sys.executable)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    given = environment(PATH=path, SLURM_CPUS_PER_TASK="2", SLURM_SUBMIT_DIR=str(folder), **variables)
    command = ["bash", str(script), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=300)


def test_the_job_that_tunes(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    done = submit(TUNE, tmp_path, "tiny.py:model", "--budget", 1.5, "--no-save", "--chains", 2)
    assert done.returncode == 0, done.stderr
    assert "cores to compute with" in done.stdout and "#SBATCH --cpus-per-task=" in done.stdout
    kept = json.loads((tmp_path / "layout.json").read_text())
    assert kept["sweep"]["job"]["chains"] == 2
    assert (tmp_path / "layout.png").stat().st_size > 1000


def test_a_job_without_a_model_says_how_it_is_called(tmp_path):
    done = submit(TUNE, tmp_path)
    assert done.returncode != 0 and "usage: sbatch" in done.stderr
