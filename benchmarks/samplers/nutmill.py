"""Runs nutmill at its defaults."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.resources import peak_rss_mb, timed
from benchmarks.samplers.run import Run

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", *, draws: int, chains: int, cores: int, seed: int, tune: int | None = None) -> Run:
    """Sample `model` with nutmill; its warmup is kept, because its gradients count.

    Compiling and sampling apart is what `sample_numba(model)` does in one call.
    """
    nutmill, imported = timed(partial(import_module, "nutmill"))
    program, compiled = timed(partial(nutmill.compile_model, model))
    sample = partial(program.sample, draws=draws, tune=tune, chains=chains, cores=cores, random_seed=seed)
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    trace, sampled = timed(partial(sample, discard_tuned_samples=False, **quiet))
    return Run(imported, compiled, sampled, peak_rss_mb(), trace, program.code.from_cache)
