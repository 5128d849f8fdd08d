"""Samples one posted model by one sampler with many seeds, compiled once, in a process of its own."""

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pymc as pm

from benchmarks.posted.command import MODELS
from nutmill.comparison.samplers.nutpie import low_rank_options
from nutmill.diagnosis.posterior_scalars import scalar_facts
from nutmill.results.trace import group

CHAINS, DRAWS = 4, 1000


def main(request: str, answer: str) -> None:
    """Sample as the JSON text `request` asks (model, sampler, seeds, cores), and write a list of rows to `answer`."""
    cell = json.loads(request)
    model = MODELS[cell["model"]]()
    free = [variable.name for variable in model.free_RVs]
    sample = _samplers(cell["sampler"])(model, cell["cores"])
    rows = [row(sample(seed), free, seed) for seed in range(1, cell["seeds"] + 1)]
    Path(answer).write_text(json.dumps(rows))


def row(trace, free: list[str], seed: int) -> dict:
    """Tell the worst diagnostics of all scalars of the free variables, divergences, gradients with warmup."""
    stats, warmup = (group(trace, name) for name in ("sample_stats", "warmup_sample_stats"))
    found = scalar_facts(group(trace, "posterior"), free).mixed
    worst = int(found.ess_bulk.argmin())
    return {
        "seed": seed,
        "rhat": float(found.rhat.max()),
        "ess_bulk": float(found.ess_bulk[worst]),
        "ess_tail": float(found.ess_tail.min()),
        "slowest": str(found.labels[worst]),
        "divergences": int(stats["diverging"].values.sum()),
        "warmup_gradients": int(warmup["n_steps"].values.sum()),
        "gradients": int(stats["n_steps"].values.sum()) + int(warmup["n_steps"].values.sum()),
    }


def _samplers(name: str) -> Callable[[pm.Model, int], Callable[[int], Any]]:
    if name == "nutmill":
        return _nutmill
    return partial(_nutpie, low_rank=name == "nutpie_low_rank")


def _nutmill(model: pm.Model, cores: int) -> Callable[[int], Any]:
    nutmill = import_module("nutmill")
    program = nutmill.compile_model(model)
    options = {"progressbar": False, "compute_convergence_checks": False, "discard_tuned_samples": False}
    sample = partial(nutmill.sample_numba, program, draws=DRAWS, chains=CHAINS, cores=cores, **options)
    return lambda seed: sample(random_seed=seed)


def _nutpie(model: pm.Model, cores: int, low_rank: bool) -> Callable[[int], Any]:
    nutpie = import_module("nutpie")
    program = nutpie.compile_pymc_model(model)
    options = low_rank_options(nutpie.sample) if low_rank else {}
    sample = partial(nutpie.sample, program, draws=DRAWS, chains=CHAINS, cores=cores, save_warmup=True, **options)
    return lambda seed: sample(seed=seed, progress_bar=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
