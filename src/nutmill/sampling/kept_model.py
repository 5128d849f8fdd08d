"""The model of a run: what tells it from others, the copy that lies in the run's folder, and how to get it back."""

import hashlib
import logging
import math
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nutmill.checkpoint.manifest import MODEL
from nutmill.checkpoint.records import as_checkpoint_error
from nutmill.errors import CheckpointError, ModelError
from nutmill.files import CODE_MODE, kind_of, replace_file
from nutmill.native.compiled import CompiledModel, load
from nutmill.sampling.request import Request

_log = logging.getLogger("nutmill")

_N_PROBES = 3
# Rounding of another processor or BLAS stays below; another model or another number of data does not.
_TOLERANCE = 1e-6


def identity(compiled: CompiledModel, cpu_model: str) -> dict[str, Any]:
    """Describe a compiled model with its data (JSON).

    Two compilations of one model differ in their bytes, so it is known by what it computes: log density and gradient
    at a few fixed points.
    """
    origin = np.zeros(compiled.n_dim)
    return {
        "model": {
            "parameters": {name: list(np.shape(value)) for name, value in compiled.split(origin).items()},
            "reported": list(compiled.description.reported),
            "fused": compiled.code.fused,
            "probes": _probes(compiled),
        },
        "data": _digests(compiled),
        "versions": {name: version(name) for name in ("nutmill", "numpy")},
        "cpu": cpu_model,
    }


def check_same(mine: Mapping[str, Any], theirs: Mapping[str, Any], where: str | os.PathLike) -> None:
    """Compare this process's model, or that of one part, with what a run folder says of its own.

    Raises CheckpointError if model or data are others. Where the density differs by rounding alone, a warning is
    logged.
    """
    first, second = dict(mine["model"]), dict(theirs["model"])
    probes = first.pop("probes"), second.pop("probes")
    if first != second:
        raise CheckpointError(f"{where} is a run of another model: {_difference(second, first)}.")
    if mine["data"] != theirs["data"]:
        names = [name for name, digest in mine["data"].items() if theirs["data"].get(name) != digest]
        raise CheckpointError(
            f"{where} is a run of this model on other data ({', '.join(names)}): bind those data, or sample again."
        )
    pairs = list(zip(*(np.ravel(probe).tolist() for probe in probes), strict=True))
    if not all(_near(a, b) for a, b in pairs):
        raise CheckpointError(f"{where} is a run of another model: its log density has other values.")
    if not all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in pairs):
        _log.warning(
            "The log density has other last bits here (%s) than where %s was begun (%s): draws from here on are as "
            "good as, but not the same as, those of a run on one kind of processor.",
            mine["cpu"],
            where,
            theirs["cpu"],
        )


def _probes(compiled: CompiledModel) -> list[list[float]]:
    """Log density, and the gradient along a fixed direction, at fixed points."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(_N_PROBES):
        q, direction = rng.uniform(-1.0, 1.0, (2, compiled.n_dim))
        with compiled.one_blas_thread():
            lp, gradient = compiled.logp_dlogp(q)
        found.append([float(lp), float(gradient @ direction)])
    return found


def _digests(compiled: CompiledModel) -> dict[str, str]:
    """Digest of each array that the model reads, by its name or number."""
    digests = {}
    for number, array in enumerate(compiled.description.arrays):
        value = np.ascontiguousarray(array.value)
        digest = hashlib.sha256(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.reshape(-1).data.cast("B"))
        digests[array.name or f"constant {number}"] = digest.hexdigest()
    return digests


def _near(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _difference(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    field = next(name for name in theirs if theirs[name] != mine.get(name))
    return f"{field} {theirs[field]} there, {mine.get(field)} here"


def keep_model(compiled: CompiledModel, path: Path, *, log_likelihood: bool) -> None:
    """Put the compiled model into a run folder, if its code allows it; the log says if not.

    Raises CheckpointError if the folder cannot be written.
    """
    try:
        content = compiled.to_bytes(log_likelihood=log_likelihood)
    except ModelError as error:
        _log.warning('nutmill.resume("%s") will need the compiled model: %s', path, error)
        return
    with as_checkpoint_error(path):
        replace_file(path / MODEL, content, mode=CODE_MODE)


def model_of(path: str | os.PathLike) -> CompiledModel:
    """Load the compiled model that lies in a run folder.

    Raises CheckpointError if there is none; ModelError if it is damaged, or was made for another processor or version.
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
    is_like = all(name in names for name in about["reported"])  # another model is refused later, by `check_same`
    return compile_model(model, var_names=about["reported"] if is_like else None, fuse=about["fused"])


def without_missing(request: Request, compiled: CompiledModel) -> Request:
    """Leave the log likelihood out of a request if the model in the folder was saved without; the log says so."""
    if not request.result["log_likelihood"]:
        return request
    try:
        _ = compiled.likelihood
    except ModelError as error:
        _log.warning("The result has no log_likelihood: %s", error)
        return request._replace(result={**request.result, "log_likelihood": False})
    return request
