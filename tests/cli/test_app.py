"""The command as a whole: help, versions, exit codes, and how little it imports."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from processes import environment
from typer.testing import CliRunner

import nutmill as package
from nutmill.cli.app import app, main
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


def test_version():
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
