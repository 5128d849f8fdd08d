"""Simulates data sets for each experiment, samples them at defaults, and writes a dated JSON file of ranks."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.calibration.experiments import EXPERIMENTS
from benchmarks.calibration.ranks import N_RANKS, calibrate
from benchmarks.results_file import RESULTS, record
from nutmill.many.rank_bands import p_value

CALIBRATION = "calibration"
_SEED, _DATA_SETS = 20261129, 1000


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--experiments", nargs="*", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--data-sets", type=int, default=_DATA_SETS, help="of each experiment")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    settings = vars(parser.parse_args(arguments))
    folder = settings.pop("out")
    return record(CALIBRATION, folder, settings, measure(settings))


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for each experiment."""
    for name in settings["experiments"]:
        found = calibrate(EXPERIMENTS[name], _SEED, settings["data_sets"])
        counts = {scalar: np.bincount(ranks, minlength=N_RANKS + 1) for scalar, ranks in found.ranks.items()}
        least = min((p_value(each), scalar) for scalar, each in counts.items())
        print(f"{name}: least p-value {least[0]:.4f} ({least[1]}), of {len(counts)} scalars", flush=True)
        measured = {
            "counts": {scalar: each.tolist() for scalar, each in counts.items()},
            "n_slow": found.n_slow,
            "n_divergences": found.n_divergences,
        }
        yield {"cell": CALIBRATION, "model": name, "measurement": measured}
