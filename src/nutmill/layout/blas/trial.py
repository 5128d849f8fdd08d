"""Tries a BLAS library in a process of its own before it is trusted: what crashes there does no harm here."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

CHILD = "nutmill.layout.blas.trial_child"
_LONGEST_S = 60.0
# Two threads, so that a pool is started and used, whatever the machine has.
_THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "2")


class Trial(NamedTuple):
    """What came of a trial."""

    # As `BlasLibrary.as_dict`, with ``integer_bits``, ``max_threads`` and ``can_limit``; None if it failed.
    facts: dict[str, Any] | None
    failure: str | None = None  # a sentence


_known: dict[tuple, Trial] = {}


def tried(path: str, runtimes: Iterable[str] = ()) -> Trial:
    """Load a library in a child process and call it there, once for each state of its file.

    `runtimes` are the OpenMP libraries of this process, which the child loads first: some cannot live beside another.
    """
    key = path, _state(path)
    if key not in _known:
        _known[key] = _try(path, list(runtimes))
    return _known[key]


def all_tried(paths: Iterable[str], runtimes: Iterable[str] = ()) -> list[Trial]:
    """Try several, some at the same time."""
    runtimes = list(runtimes)
    with ThreadPoolExecutor(4) as executor:
        return list(executor.map(lambda path: tried(path, runtimes), paths))


def _state(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:  # macOS keeps libraries that are no files
        return None
    return found.st_mtime_ns, found.st_size


def _try(path: str, runtimes: list[str]) -> Trial:
    try:
        child = subprocess.run(
            [sys.executable, "-m", CHILD, path, *runtimes],
            env=os.environ | _THREADS | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Trial(None, f"{path} was tried and did not answer within {_LONGEST_S:.0f} s, so it is not used.")
    except OSError as error:
        return Trial(None, f"{path} could not be tried in a process of its own ({error}), so it is not used.")
    answer = _answer(child.stdout)
    if child.returncode == 0 and answer is not None:
        return Trial(answer.get("facts"), answer.get("failure"))
    return Trial(None, f"{path} was tried and {_end_of(child)}, so it is not used.")


def _answer(output: str) -> dict[str, Any] | None:
    """The last line, since libraries may print things of their own."""
    try:
        found = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _end_of(child: subprocess.CompletedProcess[str]) -> str:
    said = next((line.strip() for line in (child.stderr + child.stdout).splitlines() if line.strip()), "")
    said = f": {said.rstrip('.')}" if said else ""
    if child.returncode < 0:
        try:
            name = signal.Signals(-child.returncode).name
        except ValueError:
            name = f"signal {-child.returncode}"
        return f"ended the process by {name}{said}"
    return f"ended the process with exit code {child.returncode}{said}"
