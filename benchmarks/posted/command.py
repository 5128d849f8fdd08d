"""Samples posted kinds of models at defaults, each compiled once a sampler, and writes a dated JSON file.

Counts of gradients do not depend on how busy the machine is, so this needs no quiet hour.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pymc as pm

from benchmarks.posted import hierarchies, processes
from benchmarks.results_file import RESULTS, record
from nutmill.comparison.rounds import run_module

MODELS: dict[str, Callable[[], pm.Model]] = {
    build.__name__: build
    for build in (
        hierarchies.schools_in_districts,
        hierarchies.item_response,
        hierarchies.zero_inflated_counts,
        hierarchies.ordered_answers,
        hierarchies.varying_slopes,
        hierarchies.missing_covariates,
        processes.frailty,
        processes.basis_process,
        processes.disease_map,
        processes.sparse_regression,
        processes.mixture,
        processes.state_space,
    )
}
SAMPLERS = ("nutmill", "nutpie", "nutpie_low_rank")
_LIMIT_S = 1200.0


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.posted", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    settings = vars(parser.parse_args(arguments))
    return record("posted", settings.pop("out"), settings, measure(settings))


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for each model, sampler and seed; each model and sampler has a process of its own."""
    for model in settings["models"]:
        for sampler in settings["samplers"]:
            request = {"model": model, "sampler": sampler} | {key: settings[key] for key in ("seeds", "cores")}
            answer = run_module("benchmarks.posted.cell", request, dict(os.environ), _LIMIT_S)
            for row in answer.get("measurement", [answer]):
                print(model, sampler, row, flush=True)
                yield {"model": model, "sampler": sampler} | row
