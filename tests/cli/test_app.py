"""The command as a whole: help, versions, exit codes, and how little it imports."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from processes import environment
from typer.main import get_command
from typer.testing import CliRunner

import nutmill as package
from nutmill.cli.app import COMMANDS as COMMANDS_WITH_EXAMPLES
from nutmill.cli.app import app, main
from nutmill.cli.help import INSIGHT, MACHINE, MODEL
from nutmill.errors import LayoutError

HEAVY = {"pymc", "pytensor", "numba", "llvmlite", "arviz", "xarray", "scipy", "matplotlib", "IPython"}
COMMANDS = ("sample", "resume", "status", "merge", "diagnose", "compile", "tune", "topology", "sbatch", "cache")


def modules_after(*arguments):
    """Names of the modules that are loaded after a command has run."""
    code = f"""
import sys
from nutmill.cli.app import main
try:
    main({list(arguments)!r})
except SystemExit as end:
    assert not end.code
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["topology"], ["topology", "--json"], ["cache", "list"]),
        *([command, "--help"] for command in COMMANDS),
    ],
    ids=" ".join,
)
def test_quick_commands_import_little(arguments):
    loaded = modules_after(*arguments)
    assert "nutmill.cli.app" in loaded
    assert not loaded & HEAVY
    assert len(loaded) < 520
    assert "numpy" not in loaded


def test_help_names_the_commands(nutmill):
    done = nutmill("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0 and "Usage" in result.stdout
    assert command == "cache" or "Exit codes: 0 - it has finished; 1 - an error" in " ".join(result.stdout.split())


@pytest.mark.parametrize("command", [*COMMANDS, "compare", "explain"])
def test_help_has_no_types_of_python(command, monkeypatch):
    """What stands between angle brackets is what there is to choose from."""
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, [command, "--help"]).stdout
    assert all("|" in kind for kind in re.findall(r"<[^<>]*>", shown)), shown
    assert not re.search(r"\b(int|float|bool|str|range|Path|ModelPlace)\b", shown) and "{" not in shown


@pytest.mark.parametrize("arguments", [["topology"], ["topology", "--json"], ["--version"], ["--help"]], ids=" ".join)
def test_what_cannot_be_printed_is_one_sentence(arguments):
    """A full disk behind `>` is no mistake of ours: no traceback, and none of Python's own when it ends."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nutmill", *arguments], env=environment(), stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "nutmill: What this command prints cannot be written (No space left on device).\n"


def test_a_folder_that_was_deleted_is_one_sentence(tmp_path):
    (tmp_path / "model.py").write_text("model = 3")
    command = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m nutmill sample ../model.py:model"
    done = subprocess.run(
        ["sh", "-c", command], env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == "nutmill: The folder that this command runs in was deleted: change to another one.\n"


def test_help_groups_the_commands_and_has_examples():
    shown = CliRunner().invoke(app, ["--help"]).stdout
    places = [shown.index(f"─ {group} ─") for group in (MODEL, MACHINE, INSIGHT)]
    assert places == sorted(places)
    assert places[0] < shown.index(" status ") < places[1] < shown.index(" tune ") < places[2] < shown.index(" cache ")


@pytest.mark.parametrize("line", [line for one in COMMANDS_WITH_EXAMPLES for line in one.examples])
def test_examples_of_the_help_are_commands(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("draws.nc", "sales.csv", "sales.parquet"):
        (tmp_path / file).touch()
    for folder in ("run", "runs", "part0", "part1"):
        (tmp_path / folder).mkdir()
    group, arguments = get_command(app), shlex.split(line)
    name, command, rest = group.resolve_command(group.make_context("nutmill", list(arguments)), arguments)
    command.make_context(name, rest)  # raises what is wrong with it


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sample", "m.py:m", "--draws", "x"], "'--draws': it is a whole number."),
        (["sample", "m.py:m", "--draws", "0"], "'--draws': it is at least 1."),
        (["sample", "m.py:m", "--max-treedepth", "30"], "'--max-treedepth': it is at most 20."),
        (["sample", "m.py:m", "--target-accept", "x"], "'--target-accept': it is a number."),
        (["sample", "m.py:m", "--metric", "x"], "'--metric': 'x' is not one of 'auto', 'diag'."),
        (["tune", "m.py:m", "--png", "heat.pdf"], "the heat map is a picture in PNG: call it heat.png."),
    ],
)
def test_wrong_values_are_told_in_words(arguments, said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 2 and said in shown.stderr


def test_version_is_that_of_the_package():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"nutmill {package.__version__}\n")


@pytest.mark.parametrize(
    "arguments", [["brew"], ["topology", "--jso"], ["topology", "more"], ["tune"], ["cache", "burn"], ["--brew"]]
)
def test_a_wrong_command_line_exits_with_2(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr


def test_exit_code_of_a_process(nutmill):
    done = nutmill("brew")
    assert (done.returncode, done.stdout) == (2, "")
    assert "brew" in done.stderr and "Traceback" not in done.stderr


def test_errors_are_one_sentence(monkeypatch, capsys):
    def fail(arguments, prog_name):
        raise LayoutError("There is too little of something.")

    monkeypatch.setattr("nutmill.cli.app.app", lambda args, prog_name: fail(args, prog_name))
    with pytest.raises(SystemExit) as end:
        main(["topology"])
    assert end.value.code == 1
    assert capsys.readouterr() == ("", "nutmill: There is too little of something.\n")


def test_the_script_is_installed():
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"nutmill": "nutmill.__main__:main"}
    assert any(line.startswith("typer") for line in project["dependencies"])
    script = Path(sys.executable).parent / "nutmill"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"nutmill {package.__version__}\n"


@pytest.mark.parametrize(
    ("typed", "expected"), [("nutmill sam", "sample"), ("nutmill sample --ti", ""), ("nutmill many --pil", "--pilot")]
)
def test_shells_complete_what_is_typed(nutmill, typed, expected):
    environment = {"_NUTMILL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = nutmill(**environment)
    assert (done.returncode, done.stdout.split()) == (0, expected.split())
