"""Measures what recursions cost, to compile and per gradient: `python -m benchmarks.recursions --help`."""

import argparse
import os
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from benchmarks.results_file import RESULTS, record
from nutmill.comparison.rounds import run_module

MODELS = ("arma", "garch", "hidden_states", "local_level", "autoregression", "forward", "season", "euler_maruyama")
PROGRAMS = ("nutmill", "nutpie")


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure every program on every model, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recursions", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=["nutmill"])
    parser.add_argument("--rounds", type=int, default=3, help="processes per program and model, interleaved")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one process may take")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = {"models": options.models, "programs": options.programs, "rounds": options.rounds}
    return record("recursions", options.out, settings, measure(settings, options.limit))


def measure(settings: dict, limit_s: float) -> Iterator[dict]:
    """Yield a row for every model, program and round, each from a process of its own."""
    rounds = range(1, settings["rounds"] + 1)
    with tempfile.TemporaryDirectory() as folder:
        variables = os.environ | {"NUTMILL_CACHE_DIR": folder}
        for number, model, program in product(rounds, settings["models"], settings["programs"]):
            cell = {"model": model, "program": program}
            row = cell | {"round": number} | run_module("benchmarks.recursions_cell", cell, variables, limit_s)
            print(row, flush=True)
            yield row


if __name__ == "__main__":
    main()
