"""Runs PyMC's own NUTS at its defaults: 1000 tuning draws, one process per core."""

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.resources import Spent, peak_rss_mb, timed
from benchmarks.samplers.run import Run

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", *, draws: int, chains: int, cores: int, seed: int, tune: int | None = None) -> Run:
    """Sample `model` with `pm.sample`, which compiles inside the call; its warmup is kept."""
    import pymc as pm

    tuning = {} if tune is None else {"tune": tune}
    sample = partial(pm.sample, draws=draws, chains=chains, cores=cores, random_seed=seed, model=model, **tuning)
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    trace, sampled = timed(partial(sample, nuts_sampler="pymc", discard_tuned_samples=False, **quiet))
    return Run(Spent(0.0, 0.0), Spent(0.0, 0.0), sampled, peak_rss_mb(), trace)
