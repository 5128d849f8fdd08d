"""Measures CPU layouts: the chosen one beside the best, and the costs of choosing: `python -m benchmarks.layout`."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks import models
from benchmarks.results_file import RESULTS, record
from nutmill.comparison.rounds import run_module

# Bound by BLAS, and, for comparison, not.
BOUND = (*models.SIZED, "regression")
FREE = ("eight_schools", "radon")
# A job long enough that "auto" measures layouts before it; of no other is the library a matter of seconds.
JOBS = ("gaussian_process_300",)


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every model, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layout", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=(*BOUND, *FREE), default=[*BOUND, *FREE])
    parser.add_argument("--jobs", nargs="*", choices=(*BOUND, *FREE), default=JOBS, help="models to run whole jobs of")
    parser.add_argument("--chains", type=int, default=4, help="chains of the whole job")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds for each sweep")
    parser.add_argument("--repeats", type=int, default=7, help="rounds of the exhaustive sweep")
    parser.add_argument("--rounds", type=int, default=3, help="times that each whole job is run")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one process may take")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = {name: getattr(options, name) for name in ("models", "jobs", "chains", "budget", "repeats", "rounds")}
    return record("layout", options.out, settings, measure(settings, options.limit))


def measure(settings: dict, limit_s: float) -> Iterator[dict]:
    """Yield a row for every model and every job, each from a process of its own, and one for the costs of commands."""
    for model in settings["models"]:
        request = {name: settings[name] for name in ("chains", "budget", "repeats")} | {"model": model}
        row = {"model": model} | run_module("benchmarks.layout.cell", request, dict(os.environ), limit_s)
        print(model, row.get("failure", "measured"), flush=True)
        yield row
    for model in settings["jobs"]:
        request = {name: settings[name] for name in ("chains", "rounds")} | {"model": model}
        row = {"model": None, "job": model} | run_module("benchmarks.layout.job", request, dict(os.environ), limit_s)
        print("whole jobs of", model, row.get("failure", "measured"), flush=True)
        yield row
    yield {"model": None} | run_module("benchmarks.layout.costs", {}, dict(os.environ), limit_s)
