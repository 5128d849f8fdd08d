"""The command line of the compile benchmark: what is measured, and where it is written."""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import models
from benchmarks.compiling.plan import Bench, Settings
from benchmarks.results_file import RESULTS, record
from nutmill.comparison import samplers

MODELS = (
    *("eight_schools", "garch", "gauss_mix", "radon", "gaussian_process"),
    *("irt", "lkj_20", "regression", "generated"),
)


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every cell, and return the path of the JSON file."""
    options = _parse(arguments)
    chosen = tuple(options.models), ("nutmill", *options.peers)
    settings = Settings(*chosen, options.rounds, options.once_above, options.limit)
    return record("compiling", options.out, settings._asdict(), measure(settings))


def measure(settings: Settings) -> Iterator[dict]:
    """Yield a row for every cell of `settings`, one process at a time, with caches in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="nutmill-bench-") as scratch:
        yield from Bench(settings, Path(scratch)).rows()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    peers = [name for name in samplers.SAMPLERS if name != "nutmill"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiling", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=models.NAMES, default=list(MODELS))
    parser.add_argument("--peers", nargs="*", choices=peers, default=["nutpie", "pymc"])
    parser.add_argument("--rounds", type=int, default=3, help="processes for each cell, interleaved")
    parser.add_argument("--once-above", type=float, default=30.0, help="cells that took so many seconds run once")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one process may take")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args(arguments)
