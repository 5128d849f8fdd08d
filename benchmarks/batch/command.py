"""The command line of the batch benchmark: what is measured, for how long, and where it is written."""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.results_file import RESULTS, record
from nutmill.comparison.rounds import run_module

COST, SUSTAINED, KILLS, DASK, SLURM = "checkpoint cost", "sustained", "kills", "dask", "slurm"

# Seconds between checkpoints: none at all, nutmill's default, and far more often than anyone needs.
VARIANTS = {"without": None, "default": None, "every second": 1.0}
SUSTAINED_DRAWS_PER_S = 4_000

# A second or so of warmup and sampling, with many checkpoints in it.
KILLED = {"model": "radon", "draws": 1000, "every_s": 0.02}

# Nobody waits for ever: more than the command's own sizes can need.
LIMIT_S = 3600.0


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every cell, and return the path of the JSON file."""
    options = _parse(arguments)
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    return record("batch", options.out, settings, measure(settings))


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for every process; runs keep their folders in a temporary one, which must hold what they draw."""
    with tempfile.TemporaryDirectory(prefix="nutmill-bench-") as scratch:
        for cell in settings["cells"]:
            for row in _CELLS[cell](settings, Path(scratch)):
                print(cell, row.get("variant", ""), row.get("failure", "measured"), flush=True)
                yield {"cell": cell} | row


def _cost(settings: dict, scratch: Path) -> Iterator[dict]:
    """Take turns: each round has one run of every variant, all with the same seed."""
    for number in range(1, settings["rounds"] + 1):
        for variant, every_s in VARIANTS.items():
            folder = None if variant == "without" else str(scratch / f"cost-{number}-{variant}")
            request = {"draws": settings["draws"], "checkpoint": folder, "every": every_s}
            yield {"variant": variant, "round": number} | _run("checkpoint_cost", request)


def _sustained(settings: dict, scratch: Path) -> Iterator[dict]:
    seconds = settings["seconds"]
    request = {
        "folder": str(scratch / "sustained"),
        "seconds": seconds,
        "draws": round(seconds * SUSTAINED_DRAWS_PER_S),
    }
    yield _run("sustained", request)


def _kills(settings: dict, scratch: Path) -> Iterator[dict]:
    yield _run("kills", KILLED | {"kills": settings["kills"], "seed": 1, "folder": str(scratch)})


def _dask(settings: dict, scratch: Path) -> Iterator[dict]:
    for number in range(1, settings["rounds"] + 1):
        yield {"round": number} | _run("dask_chains", {"chains": settings["chains"]})


def _slurm(settings: dict, scratch: Path) -> Iterator[dict]:
    yield _run("slurm", {})


_CELLS: dict[str, Callable[[dict, Path], Iterator[dict]]] = {
    COST: _cost,
    SUSTAINED: _sustained,
    KILLS: _kills,
    DASK: _dask,
    SLURM: _slurm,
}


def _run(module: str, request: dict) -> dict:
    return run_module(f"benchmarks.batch.{module}", request, dict(os.environ), LIMIT_S)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--cells", nargs="+", choices=_CELLS, default=list(_CELLS))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each variant of a checkpointed run, and of Dask")
    parser.add_argument("--draws", type=int, default=6000, help="of each chain, for the cost of checkpoints")
    parser.add_argument("--seconds", type=float, default=600.0, help="of the sustained run")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--chains", type=int, default=1000, help="that go through Dask")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args(arguments)
