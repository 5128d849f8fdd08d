"""Measures what a gradient costs, alone and within sampling: `python -m benchmarks.gradient --help`."""

import argparse
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from benchmarks.models import ALONE
from benchmarks.programs import PROGRAMS
from benchmarks.results_file import RESULTS, record
from nutmill.comparison.rounds import run_module

# Kept draws of the shorter of two sampling runs: enough for seconds, few enough for minutes; 0: gradients alone.
DRAWS = {"eight_schools": 20_000, "radon": 400, "regression": 30, "gaussian_process_200": 100}
FURTHER = ("varying_slopes", "ordinal", "negative_binomial", "gauss_mix", "irt", "latent_process")
DRAWS |= dict.fromkeys((*ALONE, *FURTHER), 0)

# Where a program's threads may fight the chains, it is also measured with one BLAS thread set by hand.
BLAS_BOUND = ("regression", "gaussian_process_200")


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every program on every model, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradient", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=DRAWS, default=list(DRAWS))
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--rounds", type=int, default=3, help="processes per program and model, interleaved")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one process may take")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = {"models": options.models, "programs": options.programs, "rounds": options.rounds}
    return record("gradient", options.out, settings, measure(settings, options.limit))


def measure(settings: dict, limit_s: float) -> Iterator[dict]:
    """Yield a row for every cell, each from a process of its own."""
    for cell in _cells(settings):
        request = {name: cell[name] for name in ("model", "program", "blas_threads")}
        request |= {"draws": DRAWS[cell["model"]]}
        row = cell | run_module("benchmarks.gradient_cell", request, dict(os.environ), limit_s)
        print(row, flush=True)
        yield row


def _cells(settings: dict) -> Iterator[dict]:
    for number, model in product(range(1, settings["rounds"] + 1), settings["models"]):
        for program in settings["programs"]:
            for blas_threads in (None, 1) if model in BLAS_BOUND else (None,):
                yield {"model": model, "program": program, "blas_threads": blas_threads, "round": number}


if __name__ == "__main__":
    main()
