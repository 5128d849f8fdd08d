"""Runs in folders: going on with one, and joining parts that were sampled apart."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from nutmill.checkpoint.folder import RunFolder, has_parts
from nutmill.checkpoint.manifest import MODEL, read_manifest
from nutmill.checkpoint.records import telling
from nutmill.errors import CheckpointError, ModelError
from nutmill.files import CODE_MODE, kind_of, replace_file
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.native.compiled import CompiledModel, load
from nutmill.sampling.kept_model import check_same, identity
from nutmill.sampling.request import Request, checked_request
from nutmill.sampling.session import sample_session

_log = logging.getLogger("nutmill")

# What the draws depend on, as `sample_numba` takes it, beside the model.
_ASKED = ("draws", "tune", "chains", "target_accept", "max_treedepth", "metric", "centring", "starts", "chain_ids")


def asked(request: Request) -> dict[str, Any]:
    """Tell a request in a form that JSON holds, and that `request_of` understands."""
    return {name: getattr(request, name) for name in _ASKED} | {
        "random_seed": str(request.seed),
        "discard_tuned_samples": not request.keep_warmup,
        "idata_kwargs": dict(request.result),
        "until": None if request.until is None else dict(request.until),
    }


def request_of(manifest: Mapping[str, Any], **changes) -> Request:
    """Rebuild the request of a run from its manifest, with some arguments of `sample_numba` changed."""
    given = dict(manifest["asked"])
    return checked_request(**{**given, "random_seed": int(given["random_seed"]), **changes})


def resume(
    path: str | os.PathLike,
    model=None,
    *,
    draws: int | None = None,
    until: Mapping[str, float] | None = None,
    max_time: float | None = None,
    every: float = 60.0,
    cores: int | None = None,
    layout: Layout | str | os.PathLike | None = "auto",
    progressbar: bool = True,
    compute_convergence_checks: bool = True,
    executor: Executor | None = None,
) -> Any:
    """Go on with a run that was stopped or killed, or has ended, and give its result.

    The draws are those of a run that nothing has stopped, bit for bit, on the same kind of processor with the same
    number of BLAS threads, which the folder keeps. A run that has all its draws gives its result again.

    Parameters
    ----------
    path
        The folder that `checkpoint=` named.
    model
        The same model with the same data: compiled, or a `pm.Model`, which is compiled first. None takes what lies in
        the folder, which needs no PyMC.
    draws
        Draws of each chain, more or fewer than were asked for; None: as many as were. With `draws`, a limit `until`
        that was set before no longer holds.
    until
        Another limit than was set before; see `sample_numba`.
    max_time
        Seconds from now; a limit that was set before does not hold.
    every, cores, progressbar, compute_convergence_checks
        As in `sample_numba`; none of them matters to the draws.
    layout
        "auto" and None keep the BLAS library and the number of its threads that the run was begun with, and measure
        nothing. A `Layout`, or the path of a profile, with another number is taken as it is: then draws are as good as,
        but not the same as, those of a run that nothing has stopped, which log and result say.
    executor
        For a run that an executor has sampled; None: this process goes on with one group after the other.

    Returns
    -------
    As `sample_numba`.

    Raises
    ------
    CheckpointError
        If the folder holds no run, is in use, is damaged, or belongs to another model or version.
    ModelError, SamplingError
        As `sample_numba`.
    """
    manifest = read_manifest(path)
    changes: dict[str, Any] = {} if draws is None else {"draws": draws, "until": None}
    changes |= {} if until is None else {"until": until}
    request = request_of(
        manifest,
        **changes,
        max_time=max_time,
        every=every,
        cores=cores,
        layout=layout,
        progressbar=progressbar,
        compute_convergence_checks=compute_convergence_checks,
        executor=executor,
    )
    if executor is not None and not has_parts(manifest):
        raise CheckpointError(f"{path} was not sampled by an executor: resume it without one.")
    compiled = compiled_for(model, manifest, path)
    topology = read_topology()
    check_same(identity(compiled, topology.cpu_model), manifest, path)
    with RunFolder.open(path, request.every) as folder:
        folder.manifest["asked"] = asked(request)
        possible = checked_result(request, compiled)
        if not has_parts(manifest):
            return sample_session(compiled, possible, topology, folder=folder)
        from nutmill.sampling.executor.parent import (
            sample_apart,  # brings multiprocessing, which other runs need not pay for
        )

        return sample_apart(compiled, possible, topology, folder=folder)


def keep_model(compiled: CompiledModel, path: Path, *, log_likelihood: bool) -> None:
    """Put the compiled model into a run folder, if its code allows it; the log says if not.

    Raises
    ------
    CheckpointError
        If the folder cannot be written.
    """
    try:
        content = compiled.to_bytes(log_likelihood=log_likelihood)
    except ModelError as error:
        _log.warning('nutmill.resume("%s") will need the compiled model: %s', path, error)
        return
    with telling(path):
        replace_file(path / MODEL, content, mode=CODE_MODE)


def model_of(path: str | os.PathLike) -> CompiledModel:
    """Load the compiled model that lies in a run folder.

    Raises
    ------
    CheckpointError
        If there is none.
    ModelError
        If it is damaged, or was made for another processor or version.
    """
    file = Path(path) / MODEL
    if kind_of(file) is None:
        raise CheckpointError(f"{path} holds no {MODEL}: pass the compiled model as the second argument.")
    return load(file)


def compiled_for(model, manifest: Mapping[str, Any], path: str | os.PathLike) -> CompiledModel:
    """Give the compiled model of a run: what the user has, compiled as it was, or None for what lies in the folder."""
    if model is None:
        return model_of(path)
    if isinstance(model, CompiledModel):
        return model
    from nutmill.model.compile_model import compile_model  # brings PyTensor, which a compiled model need not pay for

    about, names = manifest["model"], getattr(model, "named_vars", ())
    is_like = all(name in names for name in about["reported"])  # another model is told from the run's afterwards
    return compile_model(model, var_names=about["reported"] if is_like else None, fuse=about["fused"])


def checked_result(request: Request, compiled: CompiledModel) -> Request:
    """Leave the log likelihood out of a request if the model in the folder was saved without; the log says so."""
    if not request.result["log_likelihood"]:
        return request
    try:
        _ = compiled.likelihood
    except ModelError as error:
        _log.warning("The result has no log_likelihood: %s", error)
        return request._replace(result={**request.result, "log_likelihood": False})
    return request
