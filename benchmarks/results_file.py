"""Writes rows into a dated JSON file together with the machine's identity."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

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
        "machine": machine.identity(),
        "settings": settings,
        "load_average_start": machine.load_average(),
        "rows": [],
    }
    # Written anew after each row: what has been measured outlives an interrupt.
    for row in rows:
        report["rows"].append(row)
        report["load_average_end"] = machine.load_average()
        path.write_text(json.dumps(report, indent=1) + "\n")
    print(path)
    return path
