"""A stderr that cannot be written costs words and no draws: full, closed, never there, or its reader gone."""

import logging
import os
import subprocess
import sys
from contextlib import suppress

import pymc as pm
import pytest
import saved
from processes import environment

from nutmill import compile_model, sample_numba
from nutmill.results.trace import group

OPTIONS = {"draws": 3, "tune": 20, "chains": 2, "random_seed": 1}
# Too few draws for ArviZ, so that the report at the end has something to say as well.
CODE = f"""
import sys, nutmill
from nutmill.results.trace import group
result = nutmill.sample_numba(nutmill.load("small.nut"), **{OPTIONS})
print(group(result, "posterior")["mu"].values.sum())
"""


def opened(kind):
    """Open a stream of a kind that cannot be written, or soon will not be."""
    if kind == "never there":
        return None
    if kind == "no reader":
        reader, writer = os.pipe()
    elif kind == "lost terminal":
        reader, writer = os.openpty()
    else:
        reader, writer = os.open(os.devnull, os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)
    os.close(reader)
    stream = open(writer, "w", buffering=1)  # noqa: SIM115  what closes it fails
    if kind == "closed":
        stream.close()
    return stream


@pytest.mark.parametrize("progressbar", [True, False])
def test_who_waits_for_a_model_is_told_what_for(progressbar, capfd, caplog, model_cache):
    with pm.Model() as model:
        pm.Normal("x", pm.Data("m", 0.0), 1)
    options = {"draws": 5, "tune": 5, "chains": 1, "compute_convergence_checks": False, "progressbar": progressbar}
    with caplog.at_level(logging.INFO, logger="nutmill"):
        sample_numba(model, **options)
    told = [line for line in capfd.readouterr().err.splitlines() if line == "Compiling the model"]
    assert told == ["Compiling the model"] * progressbar
    assert caplog.messages.count("Compiling the model") == 1
    compile_model(model, progressbar=progressbar)  # which the cache knows
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def expected():
    return sample_numba(saved.small(), **OPTIONS, progressbar=False)


@pytest.mark.parametrize("is_terminal", [False, True], ids=["lines", "table"])
@pytest.mark.parametrize("kind", ["full", "closed", "never there", "no reader", "lost terminal"])
def test_the_draws_come_all_the_same(kind, is_terminal, expected, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = opened(kind)
    if stream is not None:
        stream.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stderr", stream)
    result = sample_numba(saved.small(), **OPTIONS)
    if stream is not None:
        with suppress(OSError):
            stream.close()
    assert group(result, "posterior").equals(group(expected, "posterior"))


def shell(folder, redirection, code):
    options = {"cwd": folder, "env": environment(), "stdout": subprocess.PIPE, "text": True, "timeout": 120}
    return subprocess.run(["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code], **options)


@pytest.mark.parametrize("code", [CODE, CODE.replace("result =", "sys.stderr.close(); result =", 1)])
def test_a_process_without_stderr_gives_its_draws(code, expected, tmp_path):
    """`logging`, which pytest replaces in its own process, has nobody to talk to either."""
    (tmp_path / "small.nut").write_bytes(saved.content())
    done = shell(tmp_path, "2>&-" if code == CODE else "", code)
    assert (done.returncode, done.stdout) == (0, f"{group(expected, 'posterior')['mu'].values.sum()}\n")


def test_no_file_of_a_command_takes_the_place_of_stderr(tmp_path):
    code = "import atexit, os, sys; atexit.register(lambda: print(os.readlink('/proc/self/fd/2')))\n"
    code += "sys.argv[1:] = ['--version']; from nutmill.__main__ import main; main()"
    done = shell(tmp_path, "2>&-", code)
    assert done.stdout.splitlines()[-1] == os.devnull


def test_a_command_exits_with_its_own_code(tmp_path):
    (tmp_path / "small.nut").write_bytes(saved.content())
    arguments = ["sample", "small.nut", "--draws", "20", "--chains", "1", "--out", "draws.nc"]
    done = shell(tmp_path, "2>/dev/full", f"from nutmill.cli.app import main; main({arguments})")
    assert done.returncode == 0 and done.stdout.endswith("Result: draws.nc\n")
    done = shell(tmp_path, "2>&-", "from nutmill.cli.app import main; main(['status', 'nowhere'])")
    assert (done.returncode, done.stdout) == (1, "")
