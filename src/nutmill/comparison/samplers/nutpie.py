"""Runs nutpie with its own number of tuning draws: Numba or JAX; a diagonal metric, its default, or a low-rank one."""

import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from nutmill.comparison.resources import peak_rss_mb, timed, timed_apart
from nutmill.comparison.samplers.contract import SamplerRun, Size, parted, started_clock

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", size: Size, *, backend: str = "numba", low_rank: bool = False) -> SamplerRun:
    """Sample `model` with nutpie; its warmup is kept, because its gradients count.

    On JAX, what is compiled when it is first called is parted from the sampling.
    """
    packages = ("jax", "nutpie") if backend == "jax" else ("nutpie",)
    (*_, nutpie), imported = timed(lambda: [import_module(name) for name in packages])
    program, compiled, lately = timed_apart(partial(nutpie.compile_pymc_model, model, backend=backend))
    clock = started_clock() if backend == "jax" else None
    sizes = {"draws": size.draws, "tune": size.tune, "chains": size.chains, "cores": size.cores, "seed": size.seed}
    options = low_rank_options(nutpie.sample) if low_rank else {}
    sample = partial(nutpie.sample, program, **sizes, **options, progress_bar=False, save_warmup=True)
    trace, spent, further = timed_apart(sample)
    late, sampled = parted(spent, clock.seconds() if clock else 0.0)
    return SamplerRun(imported.plus(lately).plus(further), compiled.plus(late), sampled, peak_rss_mb(), trace)


def low_rank_options(sample: Callable) -> dict[str, object]:
    """Return what asks this release's `nutpie.sample` for the low-rank metric; older ones have a switch for it."""
    named = "adaptation" in inspect.signature(sample).parameters
    return {"adaptation": "low_rank"} if named else {"low_rank_modified_mass_matrix": True}
