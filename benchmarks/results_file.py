"""Writes rows into a dated JSON file together with the machine's identity."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from nutmill.comparison import machine

RESULTS = Path(__file__).resolve().parent / "results"


def record(kind: str, folder: Path, settings: dict, rows: Iterable[dict]) -> Path:
    """Write `rows` as they come into `folder/kind-DATE.json`, print its path, and return it."""
    begun = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-{begun:%Y-%m-%d-%H%M%S}.json"
    report = {
        "kind": kind,
        "date": begun.isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": machine.identity(),
        "settings": settings,
        "load_average_start": _load_averages(),
        "rows": [],
    }
    return _written(path, report, rows)


def resume(path: Path, report: dict, rows: Iterable[dict]) -> Path:
    """Add `rows`, as they come, to a report whose run was interrupted, and the date to its `resumed`.

    Raises
    ------
    SystemExit
        If this is another machine, or its software has changed, ours included: rows of both would be compared.
    """
    here = json.loads(json.dumps({"commit": _commit(), **machine.identity()}))
    begun = {"commit": report.get("commit"), **report["machine"]}
    if differing := [name for name, value in here.items() if begun.get(name) != value]:
        raise SystemExit(
            f"{path} was begun elsewhere or with other software ({', '.join(differing)}): begin a new run."
        )
    report.setdefault("resumed", []).append(datetime.now(UTC).isoformat(timespec="seconds"))
    return _written(path, report, rows)


def _load_averages() -> list[float]:
    return [round(load, 2) for load in os.getloadavg()]


def _commit() -> str:
    """Name the sources: the commit that is checked out, and whether files differ from it."""
    if shutil.which("git") is None:
        return "unknown"
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=RESULTS, capture_output=True, text=True).stdout.strip() or "unknown"


def _written(path: Path, report: dict, rows: Iterable[dict]) -> Path:
    # Written anew after each row: what has been measured outlives an interrupt.
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        for row in rows:
            report["rows"].append(row)
            report["load_average_end"] = _load_averages()
            path.write_text(json.dumps(report, indent=1) + "\n")
    finally:
        signal.signal(signal.SIGTERM, before)
    print(path)
    return path


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End as an interrupt does: temporary folders are removed on the way out."""
    raise SystemExit(128 + number)
