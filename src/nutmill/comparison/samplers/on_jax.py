"""Runs the samplers that PyMC drives on JAX: NumPyro and BlackJAX."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from nutmill.comparison.resources import peak_rss_mb, timed, timed_apart
from nutmill.comparison.samplers.contract import SamplerRun, Size, parted, started_clock

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", size: Size, *, library: str, vectorized: bool = False) -> SamplerRun:
    """Sample `model` on JAX, a chain on each device, or all of them as one batch; these samplers keep no warmup."""
    _, imported = timed(lambda: [import_module(name) for name in ("jax", library, "pymc.sampling.jax")])
    clock = started_clock()
    import pymc as pm

    sizes = {"draws": size.draws, "chains": size.chains, "random_seed": size.seed, **size.tuning}
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    method = {"chain_method": "vectorized" if vectorized else "parallel"}
    sample = partial(pm.sample, model=model, nuts_sampler=library, nuts_sampler_kwargs=method, **sizes, **quiet)
    trace, spent, further = timed_apart(sample)
    compiled, sampled = parted(spent, clock.seconds())
    return SamplerRun(imported.plus(further), compiled, sampled, peak_rss_mb(), trace)
