"""Runs PyMC's own NUTS at its defaults, one process per core, on the backend of PyTensor's choice or a named one."""

from functools import partial
from typing import TYPE_CHECKING

from nutmill.comparison.resources import peak_rss_mb, timed_apart
from nutmill.comparison.samplers.contract import SamplerRun, Size, parted
from nutmill.errors import ModelError

if TYPE_CHECKING:
    import pymc as pm


def run(model: "pm.Model", size: Size, *, mode: str | None = None) -> SamplerRun:
    """Sample `model` with `pm.sample`, which compiles inside the call; its warmup is kept.

    PyMC says how long it sampled, starting its processes included; the rest of the call is taken for compiling.
    """
    import pymc as pm
    import pytensor

    if mode == "CVM" and not pytensor.config.cxx:
        raise ModelError("PyTensor finds no C++ compiler: install g++.")
    backend = {} if mode is None else {"compile_kwargs": {"mode": mode}}
    sizes = {"draws": size.draws, "chains": size.chains, "cores": size.cores, "random_seed": size.seed, **size.tuning}
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    sample = partial(pm.sample, model=model, nuts_sampler="pymc", **sizes, **backend, **quiet)
    trace, spent, imported = timed_apart(partial(sample, discard_tuned_samples=False))
    compiled, sampled = parted(spent, spent.wall - float(trace["posterior"].attrs["sampling_time"]))
    return SamplerRun(imported, compiled, sampled, peak_rss_mb(), trace)
