"""Reads the data and the reference moments of posteriordb that this repository keeps."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "data" / "posteriordb"


class Reference(NamedTuple):
    """Moments of one scalar in posteriordb's reference draws, with their Monte Carlo standard errors."""

    mean: float
    sd: float
    mcse_mean: float
    mcse_sd: float


def load_data(file: str) -> dict[str, np.ndarray]:
    """Read `file` (such as `"kidiq"`) as arrays by Stan's names; scalars come as arrays of no dimension."""
    raw = json.loads((FOLDER / f"{file}.json").read_text())
    return {name: np.asarray(value) for name, value in raw.items()}


@cache
def load_references() -> dict[str, dict[str, Reference]]:
    """Read the reference moments of all posteriors: posterior name -> scalar name (`beta[1]`) -> moments."""
    raw = json.loads((FOLDER / "references.json").read_text())
    return {
        posterior: {
            scalar: Reference(*(moments[field] for field in Reference._fields))
            for scalar, moments in entry["reference"].items()
        }
        for posterior, entry in raw.items()
    }
