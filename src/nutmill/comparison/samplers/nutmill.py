"""Runs nutmill: at its defaults, with the kernel apart, in a layout that measuring chose, or in single precision."""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from nutmill.comparison.resources import peak_rss_mb, timed_apart
from nutmill.comparison.samplers.contract import SamplerRun, Size

if TYPE_CHECKING:
    import pymc as pm

_TUNING_S = 5.0


def run(model: "pm.Model", size: Size, *, tuned: bool = False, dtype: str = "float64") -> SamplerRun:
    """Sample `model` with nutmill; its warmup is kept, because its gradients count.

    Compiling and sampling apart is what `sample_numba(model)` does in one call. Finding a layout counts as compiling.
    """
    nutmill = import_module("nutmill")

    def prepare() -> tuple:
        program = nutmill.compile_model(model, dtype=dtype)
        if not tuned:
            return program, {"cores": size.cores}
        fresh = {"use_profile": False, "keep": False}
        return program, {"layout": nutmill.find_layout(program, chains=size.chains, budget_s=_TUNING_S, **fresh).layout}

    (program, layout), compiled, imported = timed_apart(prepare)
    sizes = {"draws": size.draws, "tune": size.tune, "chains": size.chains, "random_seed": size.seed}
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    sample = partial(nutmill.sample_numba, program, **sizes, **layout, **quiet, discard_tuned_samples=False)
    trace, sampled, further = timed_apart(sample)
    return SamplerRun(imported.plus(further), compiled, sampled, peak_rss_mb(), trace, program.code.from_cache)
