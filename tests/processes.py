"""Runs Python in processes of their own, with this one's paths, for tests of what processes share."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of this process, with its paths, and some variables besides."""
    path = os.pathsep.join(map(str, [TESTS, TESTS.parent, *filter(None, sys.path)]))
    return os.environ | {"PYTHONPATH": path} | variables


def start(code: str, **variables: str) -> subprocess.Popen:
    """Start a process that runs `code`, with environment variables besides those of this process."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], env=environment(**variables), **pipes)


def output_of(process: subprocess.Popen) -> str:
    """Wait for a process and return what it printed; it must not have failed."""
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return printed
