"""Draws of a run, with all that is known about them, as one ArviZ object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from nutmill import trace
from nutmill.compiled import CompiledModel
from nutmill.errors import ModelError
from nutmill.model.start import evaluate
from nutmill.request import Request
from nutmill.run.results import Run


def to_result(compiled: CompiledModel, run: Run, request: Request, layout: Mapping[str, Any]):
    """Gather reported variables, statistics, data and attributes; InferenceData or DataTree, as ArviZ has it."""
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
    threads = layout["asked"]["chains_at_once"]
    warmup = None
    if request.keep_warmup:
        warmup = _draws(compiled, run.warmup_draws, run.warmup_statistics, request, threads)
    result = trace.to_arviz(
        _draws(compiled, run.draws, run.statistics, request, threads),
        model,
        warmup=warmup,
        divergences=_divergences(run) if request.result["divergences"] else None,
        attrs=_attributes(compiled, run, request, layout),
    )
    return _with_log_likelihood(compiled, result) if request.result["log_likelihood"] else result


def _draws(
    compiled: CompiledModel, draws: np.ndarray, stats: np.ndarray, request: Request, threads: int
) -> trace.Draws:
    unconstrained = compiled.split(draws) if request.result["include_transformed"] else None
    return trace.Draws(compiled.expand(draws, threads), stats, unconstrained)


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
        raise ModelError("log_likelihood is computed from the pm.Model, which does not know data of with_data().")
    import pymc

    return pymc.compute_log_likelihood(result, model=compiled.graph.source, progressbar=False)


def _attributes(
    compiled: CompiledModel, run: Run, request: Request, layout: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    seconds = run.seconds
    posterior = {
        "sampling_time": seconds.warmup_wall + seconds.sampling_wall,
        "tuning_steps": int(run.adaptation.n_warmup.max(initial=0)),
    }
    settings = {name: getattr(request, name) for name in ("draws", "tune", "chains", "target_accept", "max_treedepth")}
    stats = {"inference_library_settings": json.dumps(settings)}
    root = {
        "seed": str(request.seed),
        "interrupted": run.interrupted,
        "cpu_layout": layout,
        "compile_cpu_seconds": compiled.code.stages,
        "sampling_seconds": seconds._asdict(),
        "fused": compiled.code.fused,
        "versions": {name: version(name) for name in ("nutmill", "numpy", "numba", "llvmlite", "pytensor", "pymc")},
    }
    return {"/": root, "posterior": posterior, "sample_stats": stats}
