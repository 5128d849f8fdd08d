"""The suite's models for Stan: a program for each, and the data as a file."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def program(name: str) -> Path:
    """Return where the program of the model called `name` lies."""
    return FOLDER / f"{name}.stan"


def arrays(module: str) -> dict[str, np.ndarray]:
    """Return the data that a module of `benchmarks.models` makes, with what Stan is told: `N` rows, `K` columns."""
    given = import_module(f"benchmarks.models.{module}").arrays()
    columns = [array.shape[1] for array in given.values() if array.ndim == 2]
    return {"N": len(next(iter(given.values()))), **({"K": columns[0]} if columns else {}), **given}


def write(module: str, path: Path) -> None:
    """Write these data as JSON."""
    path.write_text(json.dumps({key: np.asarray(value).tolist() for key, value in arrays(module).items()}))
