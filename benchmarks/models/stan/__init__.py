"""The suite's models for Stan: a program for each, and the data as a file."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def program(name: str) -> Path:
    """Return where the program of the model called `name` lies."""
    return FOLDER / f"{name}.stan"


def arrays(name: str) -> dict[str, np.ndarray]:
    """Return the data of a model that a seed makes, with what Stan has to be told: `N` rows, and `K` columns."""
    given = import_module(f"benchmarks.models.{name}").arrays()
    columns = [array.shape[1] for array in given.values() if array.ndim == 2]
    return {"N": len(next(iter(given.values()))), **({"K": columns[0]} if columns else {}), **given}


def write(name: str, path: Path) -> None:
    """Write these data as JSON."""
    path.write_text(json.dumps({key: np.asarray(value).tolist() for key, value in arrays(name).items()}))
