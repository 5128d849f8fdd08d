"""Runs the samplers that PyMC drives on JAX: NumPyro and BlackJAX."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from nutmill.comparison.resources import peak_rss_mb, timed, timed_apart
from nutmill.comparison.samplers.contract import SamplerRun, Size, parted, started_clock
from nutmill.results.trace import group

if TYPE_CHECKING:
    import arviz
    import pymc as pm
    import xarray as xr


def run(model: "pm.Model", size: Size, *, library: str, vectorized: bool = False) -> SamplerRun:
    """Sample `model` on JAX, a chain on each device, or all of them as one batch; these samplers keep no warmup."""
    _, imported = timed(lambda: [import_module(name) for name in ("jax", library, "pymc.sampling.jax")])
    clock = started_clock()
    import pymc as pm

    sizes = {"draws": size.draws, "chains": size.chains, "random_seed": size.seed, **size.tuning}
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    method = {"chain_method": "vectorized" if vectorized else "parallel"}
    sample = partial(pm.sample, model=model, nuts_sampler=library, nuts_sampler_kwargs=method, **sizes, **quiet)
    trace, spent, further = timed_apart(lambda: _computed(sample()))
    compiled, sampled = parted(spent, clock.seconds())
    return SamplerRun(imported.plus(further), compiled, sampled, peak_rss_mb(), trace)


def _computed(trace: "arviz.InferenceData | xr.DataTree") -> "arviz.InferenceData | xr.DataTree":
    """Wait until the draws are there: JAX returns arrays that it has yet to compute, and BlackJAX does not wait."""
    import jax

    for name in ("posterior", "sample_stats"):
        jax.block_until_ready([variable.data for variable in group(trace, name).data_vars.values()])
    return trace
