"""Samples one model by one sampler with many seeds, compiled once, in a process of its own."""

import json
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import xarray as xr

from benchmarks import models
from nutmill.comparison.quality import quality

CHAINS, DRAWS, CORES = 4, 1000, 2


def main(request: str, answer: str) -> None:
    """Sample as the JSON text `request` asks (model, sampler, seeds), and write a list of rows to `answer`."""
    cell = json.loads(request)
    model = models.build(cell["model"])
    sample = {"nutmill": _nutmill, "nutpie": _nutpie}[cell["sampler"]](model)
    free = [variable.name for variable in model.free_RVs]
    rows = [row(sample, free, seed) for seed in range(1, cell["seeds"] + 1)]
    Path(answer).write_text(json.dumps(rows))


def row(sample, free: list[str], seed: int) -> dict:
    """Sample with one seed: least bulk ESS of the free variables, gradients with warmup, divergences."""
    trace = sample(seed)
    stats, warmup, posterior = (_dataset(trace[name]) for name in ("sample_stats", "warmup_sample_stats", "posterior"))
    found = quality(posterior[free])
    return {
        "seed": seed,
        "ess_bulk_min": found.ess_bulk_min,
        "rhat_max": found.rhat_max,
        "n_gradients": int(stats["n_steps"].sum()) + int(warmup["n_steps"].sum()),
        "n_divergences": int(stats["diverging"].sum()),
    }


def _dataset(group) -> xr.Dataset:
    return group.to_dataset() if isinstance(group, xr.DataTree) else group


def _nutmill(model):
    nutmill = import_module("nutmill")
    program = nutmill.compile_model(model)
    options = {"progressbar": False, "compute_convergence_checks": False, "discard_tuned_samples": False}
    sample = partial(nutmill.sample_numba, program, draws=DRAWS, chains=CHAINS, cores=CORES, **options)
    return lambda seed: sample(random_seed=seed)


def _nutpie(model):
    nutpie = import_module("nutpie")
    program = nutpie.compile_pymc_model(model)
    sample = partial(nutpie.sample, program, draws=DRAWS, chains=CHAINS, cores=CORES, save_warmup=True)
    return lambda seed: sample(seed=seed, progress_bar=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
