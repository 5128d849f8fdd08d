"""Runs one cell in a fresh process, within a time limit, and turns whatever happens into a row."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.caches import environment
from benchmarks.plan import Cell, Settings


def run_cell(cell: Cell, settings: Settings, folder: Path) -> dict:
    """Measure `cell` with its compile caches in `folder`.

    Returns
    -------
    dict
        The cell's fields and either `measurement` or `failure`, a sentence.
    """
    request = {"model": cell.model, "sampler": cell.sampler, "seed": cell.seed}
    request |= {"draws": settings.draws, "chains": settings.chains, "cores": settings.cores}
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.json"
        failure = _execute([json.dumps(request), str(answer)], environment(folder), settings.limit_s)
        outcome = {"failure": failure} if failure else {"measurement": json.loads(answer.read_text())}
    return cell._asdict() | outcome


def _execute(arguments: list[str], variables: dict[str, str], limit_s: float) -> str | None:
    """Run a cell's process to its end and return None, or a sentence on why it has no result."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cell", *arguments],
        cwd=Path(__file__).resolve().parents[1],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A sampler may start processes of its own; as a group they can be ended together.
        start_new_session=True,
    )
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
    return lines[-1] if lines else f"ended with status {code} and said nothing"
