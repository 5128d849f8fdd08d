"""Runs nutpie at its defaults: diagonal metric, its own number of tuning draws, Numba or JAX."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from nutmill.comparison.imports import timed_apart
from nutmill.comparison.resources import peak_rss_mb, timed
from nutmill.comparison.samplers.contract import SamplerRun, Size, parted, started_clock

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", size: Size, *, backend: str = "numba") -> SamplerRun:
    """Sample `model` with nutpie; its warmup is kept, because its gradients count.

    On JAX, what is compiled when it is first called is parted from the sampling.
    """
    packages = ("jax", "nutpie") if backend == "jax" else ("nutpie",)
    (*_, nutpie), imported = timed(lambda: [import_module(name) for name in packages])
    program, compiled, lately = timed_apart(partial(nutpie.compile_pymc_model, model, backend=backend))
    clock = started_clock() if backend == "jax" else None
    sizes = {"draws": size.draws, "tune": size.tune, "chains": size.chains, "cores": size.cores, "seed": size.seed}
    sample = partial(nutpie.sample, program, **sizes, progress_bar=False, save_warmup=True)
    trace, spent, further = timed_apart(sample)
    late, sampled = parted(spent, clock.seconds() if clock else 0.0)
    return SamplerRun(imported.plus(lately).plus(further), compiled.plus(late), sampled, peak_rss_mb(), trace)
