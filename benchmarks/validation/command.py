"""Samples the posteriors with reference draws; writes a dated JSON file."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import nutmill
from benchmarks import models
from benchmarks.distances import distances
from benchmarks.results_file import RESULTS, record
from nutmill import sample_numba
from nutmill.comparison.quality import quality
from nutmill.results.trace import group

REFERENCE = "reference"
_FIRST_SEED = 20261128


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation", description=__doc__)
    parser.add_argument("--posteriors", nargs="*", choices=models.POSTERIORDB, default=list(models.POSTERIORDB))
    parser.add_argument("--seeds", type=int, default=5, help="runs of each posterior")
    parser.add_argument("--draws", type=int, default=1000, help="kept draws of each of four chains")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    settings = vars(parser.parse_args(arguments))
    folder = settings.pop("out")
    return record("validation", folder, settings, measure(settings))


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for every run of a posterior."""
    for name in settings["posteriors"]:
        compiled = nutmill.compile_model(models.build(name))
        for seed in range(_FIRST_SEED, _FIRST_SEED + settings["seeds"]):
            measured = _against_reference(name, compiled, seed, settings["draws"])
            far = max(abs(moment) for each in measured["distances"].values() for moment in each.values())
            print(f"{name} seed {seed}: at most {far:.1f} standard errors off", flush=True)
            yield {"cell": REFERENCE, "model": name, "seed": seed, "measurement": measured}


def _against_reference(name: str, compiled: nutmill.CompiledModel, seed: int, draws: int) -> dict:
    result = sample_numba(
        compiled, draws=draws, chains=4, random_seed=seed, progressbar=False, compute_convergence_checks=False
    )
    posterior = group(result, "posterior")
    found = distances(posterior, models.reference(name))
    return {
        "distances": {scalar: distance._asdict() for scalar, distance in found.items()},
        "quality": quality(posterior)._asdict(),
        "divergences": int(np.sum(group(result, "sample_stats")["diverging"].values)),
    }
