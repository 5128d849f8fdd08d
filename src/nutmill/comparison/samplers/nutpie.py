"""Runs nutpie at its defaults: diagonal metric, its own number of tuning draws, Numba or JAX."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from nutmill.comparison.imports import timed_apart
from nutmill.comparison.resources import peak_rss_mb, timed
from nutmill.comparison.samplers.run import Run, Size

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", size: Size, *, backend: str = "numba") -> Run:
    """Sample `model` with nutpie; its warmup is kept, because its gradients count."""
    packages = ("jax", "nutpie") if backend == "jax" else ("nutpie",)
    (*_, nutpie), imported = timed(lambda: [import_module(name) for name in packages])
    program, compiled, lately = timed_apart(partial(nutpie.compile_pymc_model, model, backend=backend))
    sizes = {"draws": size.draws, "tune": size.tune, "chains": size.chains, "cores": size.cores, "seed": size.seed}
    sample = partial(nutpie.sample, program, **sizes, progress_bar=False, save_warmup=True)
    trace, sampled, further = timed_apart(sample)
    return Run(imported.plus(lately).plus(further), compiled, sampled, peak_rss_mb(), trace)
