"""Runs one measurement in a fresh process, within a time limit, and turns whatever happens into a row."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Warning): ")


def run_module(module: str, request: dict, variables: dict[str, str], limit_s: float) -> dict:
    """Run `python -m module REQUEST ANSWER` to its end, in the folder of this process.

    Parameters
    ----------
    module
        Has a `main` that takes the JSON text of `request` and writes JSON to the file `ANSWER`.
    variables
        The environment of the process.
    limit_s
        After so many seconds of wall time the process, and those it started, are ended.

    Returns
    -------
    dict
        Either `measurement`, the answer, or `failure`, a sentence on why there is none.
    """
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.json"
        failure = _execute([module, json.dumps(request), str(answer)], variables, limit_s)
        return {"failure": failure} if failure else {"measurement": json.loads(answer.read_text())}


def _execute(arguments: list[str], variables: dict[str, str], limit_s: float) -> str | None:
    """Run a module's process to its end and return None, or a sentence on why it has no result."""
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A sampler may start processes of its own; as a group they can be ended together.
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return f"no result within {limit_s:g} s"
        finally:
            _end_group(process)
    return explain(process.returncode, errors)


def _end_group(process: subprocess.Popen) -> None:
    """End whatever is left of the process and of those it started, also when we are interrupted."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def explain(code: int, errors: str) -> str | None:
    """Say why a process that ended with `code` and wrote `errors` has failed; None if it has not."""
    if code == 0:
        return None
    if code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    # A message may go on for many lines; its first one names the exception.
    named = [line for line in lines if _EXCEPTION.match(line)]
    if named:
        return named[-1]
    return lines[-1] if lines else f"ended with status {code} and said nothing"
