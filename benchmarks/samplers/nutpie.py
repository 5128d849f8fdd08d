"""Runs nutpie at its defaults: diagonal metric, 400 tuning draws, Numba."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.resources import peak_rss_mb, timed
from benchmarks.samplers.run import Run

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", *, draws: int, chains: int, cores: int, seed: int, tune: int | None = None) -> Run:
    """Sample `model` with nutpie; its warmup is kept, because its gradients count."""
    nutpie, imported = timed(partial(import_module, "nutpie"))
    program, compiled = timed(partial(nutpie.compile_pymc_model, model))
    sample = partial(nutpie.sample, program, draws=draws, tune=tune, chains=chains, cores=cores, seed=seed)
    trace, sampled = timed(partial(sample, progress_bar=False, save_warmup=True))
    return Run(imported, compiled, sampled, peak_rss_mb(), trace)
