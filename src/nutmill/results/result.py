"""Draws of a run, with all that is known about them, as one ArviZ object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from nutmill.native.compiled import CompiledModel
from nutmill.results import trace
from nutmill.results.expansion import DrawsMaker
from nutmill.run.adaptation import AdaptationState
from nutmill.run.run import Divergences, Run
from nutmill.sampling.kept_model import FINGERPRINTS, fingerprints
from nutmill.sampling.request import Request

_SETTINGS = ("draws", "tune", "chains", "target_accept", "max_treedepth", "metric", "centring")


def to_result(
    compiled: CompiledModel, run: Run, request: Request, layout: Mapping[str, Any], folder: Path | None = None
):
    """Gather reported variables, statistics, data and attributes; InferenceData or DataTree, as ArviZ has it.

    Large arrays go to files in `folder`, if there is one, and come into memory when they are looked at.
    """
    described = compiled.description
    shown = compiled.origin.shown(described.values)
    model = trace.ModelData(
        # Copies: what users change in a result is no data of the model.
        observed={name: np.array(shown[name]) for name in described.observed},
        constant={name: np.array(shown[name]) for name in described.constant},
        coords={**described.coords, "chain": run.chain_ids},
        dims={**described.array_dims, **{p.name: p.dims for p in described.parameters if p.dims}},
    )
    n_threads = layout["asked"]["chains_at_once"] * layout["asked"].get("blas_threads", 1)
    maker = DrawsMaker(compiled, n_threads, request.result["include_transformed"], folder)
    warmup = None
    if run.warmup_draws is not None and run.warmup_statistics is not None:
        warmup = maker.make(run.warmup_draws, run.warmup_statistics)
    draws = maker.make(run.draws, run.statistics)
    if request.result["log_likelihood"]:
        draws = draws._replace(log_likelihood=maker.log_likelihood(run.draws))
    return trace.to_arviz(
        draws,
        model,
        warmup=warmup,
        divergences=None if run.divergences is None else _divergences(run.chain_ids, run.divergences),
        adaptation=_adaptation(run, centredness_of(compiled, run)),
        attrs=_attributes(compiled, run, request, layout),
    )


def _adaptation(run: Run, centredness: Mapping[str, np.ndarray]) -> trace.Adaptation:
    state = AdaptationState(**{name: getattr(run.adaptation, name) for name in AdaptationState._fields})
    target_accept = run.adaptation.target_accept
    return trace.Adaptation(**state.trimmed()._asdict(), target_accept=target_accept, centredness_of=centredness)


def centredness_of(compiled: CompiledModel, run: Run) -> dict[str, np.ndarray]:
    """Centredness that each chain has chosen for each element of the variables that have one; (chain, *shape)."""
    if not run.adaptation.centredness.size:
        return {}
    pieces = list(compiled.split(run.adaptation.centredness).values())
    parameters = compiled.description.parameters
    return {parameters[number].rv_name: pieces[number] for number, _ in compiled.code.sites}


def _divergences(chain_ids: Sequence[int], chains: Sequence[Divergences]) -> trace.Divergences:
    """All divergences of a run, one row each."""
    records = [chain.records for chain in chains]
    points = np.concatenate([chain.points for chain in chains])
    return trace.Divergences(
        chain=np.repeat(chain_ids, [len(rows) for rows in records]),
        draw=np.concatenate([rows["draw"] for rows in records]),
        start=points[:, 0],
        end=points[:, 1],
        gradient=points[:, 2],
        energy_error=np.concatenate([rows["energy_error"] for rows in records]),
    )


def _attributes(
    compiled: CompiledModel, run: Run, request: Request, layout: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    seconds = run.seconds
    posterior = {
        "sampling_time": seconds.warmup_wall + seconds.sampling_wall,
        "tuning_steps": int(run.adaptation.n_warmup.max(initial=0)),
    }
    settings = {name: getattr(request, name) for name in _SETTINGS}
    stats = {"inference_library_settings": json.dumps(settings)}
    root = {
        "seed": str(request.seed),
        "starts": request.starts,
        "interrupted": run.interrupted,
        "stopped_by": run.ending.stopped_by,
        "cpu_layout": layout,
        "blas_threads": layout["blas_threads"],
        "compile_cpu_seconds": compiled.code.stages,
        "sampling_seconds": seconds._asdict(),
        "fused": compiled.code.fused,
        "lowering": compiled.code.lowering,
        FINGERPRINTS: fingerprints(compiled),
        "versions": _versions(),
    }
    return {"/": root, "posterior": posterior, "sample_stats": stats}


@cache
def _versions() -> dict[str, str]:
    """Versions of what is installed: a model that was loaded from a file needs neither PyMC nor PyTensor."""
    found = {}
    for name in ("nutmill", "numpy", "numba", "llvmlite", "pytensor", "pymc"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
