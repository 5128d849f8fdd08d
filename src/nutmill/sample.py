"""`sample_numba`: checks what the user asked for, wires the parts together, and returns ArviZ-ready draws."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from nutmill import convergence, trace
from nutmill.compiled import CompiledModel, compile_model
from nutmill.errors import ModelError
from nutmill.model.start import evaluate
from nutmill.run.driver import drive
from nutmill.run.progress import open_progress
from nutmill.run.results import Run, Settings

_log = logging.getLogger("nutmill")

# What may be asked of the result beside posterior and statistics.
_RESULT_OPTIONS = {"log_likelihood": False, "include_transformed": False, "divergences": False}


class Request(NamedTuple):
    """What the user asked for, checked; see `sample_numba` for the meaning of each field."""

    draws: int
    tune: int | None
    chains: int
    cores: int
    target_accept: float
    max_treedepth: int
    seed: int
    initvals: Mapping | Sequence | None
    jitter: bool
    keep_warmup: bool
    progressbar: bool
    check: bool
    result: Mapping[str, bool]


def sample_numba(
    model=None,
    *,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float = 0.8,
    max_treedepth: int = 10,
    random_seed=None,
    initvals: Mapping | Sequence[Mapping | None] | None = None,
    jitter: bool = True,
    metric: str = "auto",
    var_names: Sequence[str] | None = None,
    discard_tuned_samples: bool = True,
    progressbar: bool = True,
    compute_convergence_checks: bool = True,
    idata_kwargs: Mapping[str, bool] | None = None,
    fuse: bool = True,
):
    """Draw from the posterior of a PyMC model with NUTS, in native code, chains in threads.

    Parameters
    ----------
    model
        A `pm.Model`, or a `CompiledModel`; None takes the model of the surrounding ``with``.
    draws
        Draws to keep of each chain.
    tune
        Draws of warmup; None stops the warmup when the chains agree (at most 1000).
    chains
        Independent chains. They run in groups of four that share what they learn during warmup.
    cores
        Chains that run at once; None takes the CPUs that this process may use.
    target_accept
        Mean acceptance rate that the step size aims for, between 0 and 1.
    max_treedepth
        A trajectory takes at most ``2**max_treedepth`` steps.
    random_seed
        An integer, a sequence of integers or a `numpy.random.Generator`. The same seed gives the same bytes,
        whatever `cores` is.
    initvals
        Where to start, by name of variable; one mapping for all chains or a list with one for each. These values
        are not jittered.
    jitter
        Move other starting values by U(-1, 1) on the unconstrained scale.
    metric
        "auto" or "diag".
    var_names
        Variables to report; None reports free variables and Deterministics.
    discard_tuned_samples
        False keeps warmup draws in groups called ``warmup_...``.
    progressbar
        Show how the chains advance.
    compute_convergence_checks
        Compute R-hat, effective sample sizes and the like at the end, and say what looks wrong.
    idata_kwargs
        What else to put in the result, by name: ``log_likelihood``, ``include_transformed`` (draws on the
        unconstrained scale), ``divergences`` (where trajectories diverged); all False.
    fuse
        Link sampler and model into one native object; False calls the model through a pointer.

    Returns
    -------
    xarray.DataTree with ArviZ 1, arviz.InferenceData with ArviZ 0.23.

    Raises
    ------
    ModelError
        If the model or an argument cannot be used; the message says what to do.
    SamplingError
        If a chain had to stop.
    """
    start = time.perf_counter(), time.process_time()
    options = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "cores": cores,
        "target_accept": target_accept,
        "max_treedepth": max_treedepth,
        "random_seed": random_seed,
        "initvals": initvals,
        "jitter": jitter,
        "metric": metric,
        "discard_tuned_samples": discard_tuned_samples,
        "progressbar": progressbar,
        "compute_convergence_checks": compute_convergence_checks,
        "idata_kwargs": idata_kwargs,
    }
    _request(**options)  # before the compile: a wrong argument should not cost seconds
    compiled = (
        model if isinstance(model, CompiledModel) else compile_model(model, var_names=var_names, fuse=fuse)
    )
    _log.info(
        "compiled in %.2f s (%.2f CPU s)", time.perf_counter() - start[0], time.process_time() - start[1]
    )
    return compiled.sample(**options)


def sample_compiled(compiled: CompiledModel, **options):
    """Sample a compiled model; `CompiledModel.sample` is the public way to this."""
    request = _request(**options)
    initial = compiled.starts(request.initvals, request.chains, request.seed, jitter=request.jitter)
    settings = Settings(
        draws=request.draws,
        tune=request.tune,
        target_accept=request.target_accept,
        max_treedepth=request.max_treedepth,
        keep_warmup=request.keep_warmup,
        keep_divergences=request.result["divergences"],
    )
    with threadpool_limits(limits=1, user_api="blas"), open_progress(request.progressbar) as progress:
        run = drive(
            compiled.binding,
            initial,
            settings,
            request.seed,
            threads=request.cores,
            on_progress=progress.update,
        )
    result = _result(compiled, run, request)
    if request.check:
        free = [p.rv_name for p in compiled.graph.parameters if p.rv_name in compiled.graph.expanded]
        convergence.report(convergence.check(result, var_names=free, notes=run.messages))
    return result


def _request(
    *,
    draws=1000,
    tune=None,
    chains=4,
    cores=None,
    target_accept=0.8,
    max_treedepth=10,
    random_seed=None,
    initvals=None,
    jitter=True,
    metric="auto",
    discard_tuned_samples=True,
    progressbar=True,
    compute_convergence_checks=True,
    idata_kwargs=None,
) -> Request:
    """Check the arguments of `sample_numba`; raises ModelError with one sentence for the first that is wrong."""
    unknown = set(idata_kwargs or {}) - set(_RESULT_OPTIONS)
    if unknown:
        raise ModelError(
            f"idata_kwargs has no option {', '.join(sorted(unknown))}; it has {', '.join(_RESULT_OPTIONS)}."
        )
    if metric not in ("auto", "diag"):
        raise ModelError(f'metric must be "auto" or "diag", not {metric!r}.')
    if not isinstance(target_accept, Real) or not 0.0 < target_accept < 1.0:
        raise ModelError(f"target_accept must lie between 0 and 1, not {target_accept!r}.")
    return Request(
        draws=_count("draws", draws, 1),
        tune=None if tune is None else _count("tune", tune, 0),
        chains=_count("chains", chains, 1),
        cores=min(chains, usable_cores() if cores is None else _count("cores", cores, 1)),
        target_accept=float(target_accept),
        max_treedepth=_count("max_treedepth", max_treedepth, 1, 20),
        seed=_seed(random_seed),
        initvals=initvals,
        jitter=jitter,
        keep_warmup=not discard_tuned_samples,
        progressbar=progressbar,
        check=compute_convergence_checks,
        result=_RESULT_OPTIONS | dict(idata_kwargs or {}),
    )


def _count(name: str, value, least: int, most: int | None = None) -> int:
    is_count = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_count or value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ModelError(f"{name} must be a whole number, {limits}, not {value!r}.")
    return int(value)


def _seed(random_seed) -> int:
    if isinstance(random_seed, np.random.Generator):
        return int(random_seed.integers(2**63))
    if isinstance(random_seed, int | np.integer) and random_seed >= 0:
        return int(random_seed)
    if random_seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    try:
        return int(np.random.SeedSequence(random_seed).generate_state(1, np.uint64)[0])
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"random_seed must be a non-negative integer, a sequence of them or a Generator, not {random_seed!r}."
        ) from error


def usable_cores() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _result(compiled: CompiledModel, run: Run, request: Request):
    graph = compiled.graph
    inputs, values = [a.variable for a in graph.arrays], [a.value for a in graph.arrays]
    named = {**graph.observed, **graph.constant}
    data = dict(zip(named, evaluate(inputs, values, list(named.values())), strict=True))
    model = trace.ModelData(
        observed={name: data[name] for name in graph.observed},
        constant={name: data[name] for name in graph.constant},
        coords=graph.coords,
        dims={**graph.array_dims, **{p.name: p.dims for p in graph.parameters if p.dims}},
    )
    warmup = None
    if request.keep_warmup:
        warmup = _draws(compiled, run.warmup_draws, run.warmup_statistics, request)
    result = trace.to_arviz(
        _draws(compiled, run.draws, run.statistics, request),
        model,
        warmup=warmup,
        divergences=_divergences(run) if request.result["divergences"] else None,
        attrs=_attributes(compiled, run, request),
    )
    return _with_log_likelihood(compiled, result) if request.result["log_likelihood"] else result


def _draws(compiled: CompiledModel, draws: np.ndarray, stats: np.ndarray, request: Request) -> trace.Draws:
    unconstrained = compiled.split(draws) if request.result["include_transformed"] else None
    return trace.Draws(compiled.expand(draws), stats, unconstrained)


def _divergences(run: Run) -> trace.Divergences:
    """All divergences of the run, one row each."""
    records = [chain.records for chain in run.divergences]
    points = np.concatenate([chain.points for chain in run.divergences])
    return trace.Divergences(
        chain=np.repeat(run.chain_ids, [len(rows) for rows in records]),
        draw=np.concatenate([rows["draw"] for rows in records]),
        start=points[:, 0],
        end=points[:, 1],
        gradient=points[:, 2],
        energy_error=np.concatenate([rows["energy_error"] for rows in records]),
    )


def _with_log_likelihood(compiled: CompiledModel, result):
    if compiled.replaced:
        raise ModelError(
            "log_likelihood is computed from the pm.Model, which does not know data of with_data()."
        )
    import pymc

    return pymc.compute_log_likelihood(result, model=compiled.graph.source, progressbar=False)


def _attributes(compiled: CompiledModel, run: Run, request: Request) -> dict[str, dict[str, Any]]:
    seconds = run.seconds
    posterior = {
        "sampling_time": seconds.warmup_wall + seconds.sampling_wall,
        "tuning_steps": int(run.adaptation.n_warmup.max(initial=0)),
    }
    settings = {
        name: getattr(request, name) for name in ("draws", "tune", "chains", "target_accept", "max_treedepth")
    }
    stats = {"inference_library_settings": json.dumps(settings)}
    root = {
        "seed": str(request.seed),
        "interrupted": run.interrupted,
        "cpu_layout": {"mode": "threads", "chains_at_once": request.cores, "blas_threads": 1},
        "compile_cpu_seconds": compiled.code.stages,
        "sampling_seconds": seconds._asdict(),
        "fused": compiled.code.fused,
        "versions": {
            name: version(name) for name in ("nutmill", "numpy", "numba", "llvmlite", "pytensor", "pymc")
        },
    }
    return {"/": root, "posterior": posterior, "sample_stats": stats}
