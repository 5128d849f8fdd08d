"""Samples the posteriors that have reference draws at defaults, four chains of 1000 draws; writes a dated JSON file.

Distances and effective sample sizes do not depend on how busy the machine is; CPU seconds do a little.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymc as pm

from benchmarks.distances import distances
from benchmarks.models.posteriordb import Reference, load_references
from benchmarks.references.posteriors import POSTERIORS
from benchmarks.results_file import RESULTS, record
from benchmarks.validation.command import REFERENCE
from nutmill.comparison import samplers
from nutmill.comparison.samplers.contract import SamplerRun, Size
from nutmill.diagnosis.posterior_scalars import scalar_facts
from nutmill.results.trace import group

# All of them run in this process, one after the other.
SAMPLERS = [name for name, each in samplers.SAMPLERS.items() if not (each.variables or each.reads_program)]


def main(arguments: list[str] | None = None) -> Path:
    """Parse the command line, measure, and return the path of the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.references", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=POSTERIORS, default=list(POSTERIORS))
    installed = [name for name in ("nutmill", "nutpie") if not samplers.SAMPLERS[name].missing()]
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=installed)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each posterior")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=1000, help="kept draws of each of four chains")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60.0, help="after which no further run is begun")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    settings = vars(parser.parse_args(arguments))
    return record("references", settings.pop("out"), settings, measure(settings))


def measure(settings: dict) -> Iterator[dict]:
    """Yield a row for each sampler, posterior and seed, in this order; with `skipped` where no time is left."""
    end = time.monotonic() + 60.0 * settings["minutes"]
    for sampler in settings["samplers"]:
        for name in settings["models"]:
            for seed in range(settings["first_seed"], settings["first_seed"] + settings["seeds"]):
                cell = {"cell": REFERENCE, "model": name, "sampler": sampler, "seed": seed}
                if time.monotonic() > end:
                    yield cell | {"skipped": f"no time was left of {settings['minutes']:g} minutes"}
                else:
                    yield cell | _outcome(name, sampler, Size(settings["draws"], 4, settings["cores"], seed))


def _outcome(name: str, sampler: str, size: Size) -> dict:
    """Sample a posterior; what a sampler raises is an outcome, too."""
    try:
        found = run(POSTERIORS[name], load_references()[name], sampler, size)
    except Exception as error:
        print(f"{name} by {sampler}, seed {size.seed}: {error}", flush=True)
        return {"failure": f"{type(error).__name__}: {error}".splitlines()[0]}
    told = ", ".join(f"{key} {value:.4g}" for key, value in found.items() if key != "distances")
    print(f"{name} by {sampler}, seed {size.seed}: {told}", flush=True)
    return {"measurement": found}


def run(build: Callable[[], pm.Model], references: dict[str, Reference], sampler: str, size: Size) -> dict:
    """Sample a model at defaults, and compare it with its references: distances, diagnostics of all scalars, costs."""
    measured = samplers.load(sampler)(build(), size)
    return judged(measured, references)


def judged(run: SamplerRun, references: dict[str, Reference]) -> dict:
    """Reduce a run to numbers: the distances are in standard errors of both sides."""
    posterior, stats = group(run.trace, "posterior"), group(run.trace, "sample_stats")
    mixed = scalar_facts(posterior).mixed
    known = posterior[sorted({scalar.partition("[")[0] for scalar in references})]
    return {
        "distances": {scalar: distance._asdict() for scalar, distance in distances(known, references).items()},
        "rhat": float(mixed.rhat.max()),
        "ess_bulk": float(mixed.ess_bulk.min()),
        "ess_tail": float(mixed.ess_tail.min()),
        "divergences": int(stats["diverging"].sum()),
        "compiled_cpu_s": run.compiled.cpu,
        "sampled_cpu_s": run.sampled.cpu,
    }
