"""Runs Stan, through PyStan, on a program of the same model that stands in a file, with its data beside it as JSON."""

import json
import shutil
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nutmill.comparison.resources import peak_rss_mb, timed
from nutmill.comparison.samplers.contract import SamplerRun, Size
from nutmill.errors import ModelError

if TYPE_CHECKING:
    import pymc as pm

_TUNE = 1000  # draws of a chain's warmup, Stan's default
_STATS = {"n_steps": ("n_leapfrog__", np.int64), "diverging": ("divergent__", bool)}


def run(model: "pm.Model", size: Size, *, program: str, data: str | None = None) -> SamplerRun:
    """Sample the Stan program in the file `program`, whose variables are called as those of `model`.

    Its data are the JSON file `data`, by default of the same name, as CmdStan reads it. PyStan has a process for every
    chain; the draws come as text, which the figures of sampling include. Raises ModelError if a free variable of the
    model is none of the program's, or has another shape.
    """
    (stan, services, cache), imported = timed(
        lambda: [import_module(name) for name in ("stan", "httpstan.services_stub", "httpstan.cache")]
    )
    code, path = Path(program).read_text(), Path(data or Path(program).with_suffix(".json"))
    values = json.loads(path.read_text()) if path.exists() else {}
    built, compiled = timed(partial(stan.build, code, data=values, random_seed=size.seed))
    tune = _TUNE if size.tune is None else size.tune

    def sample():
        fit = built.sample(num_chains=size.chains, num_samples=size.draws, num_warmup=tune, save_warmup=True)
        services.executor.shutdown()  # the time of the chains' processes counts when they have ended
        return fit

    fit, sampled = timed(sample)
    # Asked for the same draws again, it would read them.
    shutil.rmtree(cache.cache_directory() / built.model_name / "fits", ignore_errors=True)
    return SamplerRun(imported, compiled, sampled, peak_rss_mb(), _groups(model, fit, tune, size.chains))


def _groups(model: "pm.Model", fit: Mapping, tune: int, chains: int) -> dict[str, xr.Dataset]:
    """Put the draws into the groups of a trace."""
    names = [name for name in model.named_vars if name in fit]
    if missing := [variable.name for variable in model.free_RVs if variable.name not in names]:
        raise ModelError(f"The Stan program has no variable called {missing[0]}, which the model has: name them alike.")
    posterior = {name: _values(model, fit, name, chains)[:, tune:] for name in names}
    stats = {name: _by_chain(fit[stan][0], chains).astype(dtype) for name, (stan, dtype) in _STATS.items()}
    sampled = ("chain", "draw")
    posterior_group = xr.Dataset(
        {name: ((*sampled, *_dims(model, name, values)), values) for name, values in posterior.items()},
        attrs={"tuning_steps": tune},
    )
    labels = {dim: list(values) for dim, values in model.coords.items() if values is not None}
    return {
        "posterior": posterior_group.assign_coords({dim: labels[dim] for dim in posterior_group.dims if dim in labels}),
        "sample_stats": xr.Dataset({name: (sampled, values[:, tune:]) for name, values in stats.items()}),
        "warmup_sample_stats": xr.Dataset({name: (sampled, values[:, :tune]) for name, values in stats.items()}),
    }


def _values(model: "pm.Model", fit: Mapping, name: str, chains: int) -> np.ndarray:
    """Draws of a variable, with the axes chain, draw and its own; PyStan gives a number an axis."""
    wanted = model.named_vars[name].ndim
    draws = fit[name] if wanted else fit[name][0]
    if draws.ndim != wanted + 1:
        raise ModelError(f"{name} has {wanted} axes in the model and {draws.ndim - 1} in the Stan program.")
    return _by_chain(draws, chains)


def _by_chain(draws: np.ndarray, chains: int) -> np.ndarray:
    """Put chain and draw first; PyStan has them on the last axis, draw after draw, each of all chains."""
    apart = draws.reshape(*draws.shape[:-1], -1, chains)
    return np.moveaxis(apart, (-1, -2), (0, 1))


def _dims(model: "pm.Model", name: str, values: np.ndarray) -> list[str]:
    """Names of a variable's axes."""
    shape = values.shape[2:]
    known = model.named_vars_to_dims.get(name) or [None] * len(shape)
    return [dim or f"{name}_dim_{axis}" for axis, dim in enumerate(known)]
