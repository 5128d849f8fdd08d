"""Runs nutmill at its defaults."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.resources import peak_rss_mb, timed
from benchmarks.samplers.run import Run

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", *, draws: int, chains: int, cores: int, seed: int) -> Run:
    """Sample `model` with nutmill; its warmup is kept, because its gradients count."""
    nutmill, imported = timed(partial(import_module, "nutmill"))
    program, compiled = timed(partial(nutmill.compile_model, model))
    sample = partial(program.sample, draws=draws, chains=chains, cores=cores, random_seed=seed)
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    trace, sampled = timed(partial(sample, discard_tuned_samples=False, **quiet))
    return Run(imported, compiled, sampled, peak_rss_mb(), trace)
