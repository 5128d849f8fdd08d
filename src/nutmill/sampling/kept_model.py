"""What a run is of: model, data, versions and processor, told so that another process can compare."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from nutmill.errors import CheckpointError, ModelError
from nutmill.native.compiled import CompiledModel

if TYPE_CHECKING:
    import arviz
    import xarray as xr

_log = logging.getLogger("nutmill")

_N_PROBES = 3
# Rounding of another processor or BLAS stays below; another model or another number of data does not.
_TOLERANCE = 1e-6

FINGERPRINTS = "data_fingerprints"  # attribute of results
_DIGITS = 16


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

    Raises
    ------
    CheckpointError
        If model or data are others. Where the density differs by rounding alone, a warning is logged.
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
        digest.update(memoryview(value.reshape(-1)).cast("B"))
        digests[array.name or f"constant {number}"] = digest.hexdigest()
    return digests


def _near(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _difference(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    field = next(name for name in theirs if theirs[name] != mine.get(name))
    return f"{field} {theirs[field]} there, {mine.get(field)} here"


def fingerprints(compiled: CompiledModel) -> dict[str, str]:
    """Fingerprint of each array of data that has a name; the same in every process and for every version of PyMC."""
    described = compiled.description
    named = {a.name: a.value for a in described.arrays if a.name is not None and not described.is_length(a)}
    return {name: _fingerprint(value) for name, value in named.items()}


def _fingerprint(value: np.ndarray) -> str:
    """Digest of shape and values, whatever the width of the numbers."""
    kind = value.dtype.kind
    wide = np.ascontiguousarray(value, dtype="<f8" if kind == "f" else "<i8" if kind in "iub" else value.dtype)
    return hashlib.sha256(repr((wide.dtype.str, wide.shape)).encode() + wide.tobytes()).hexdigest()[:_DIGITS]


def check_data(result: arviz.InferenceData | xr.DataTree, model) -> None:
    """Check that a model holds the data of which a result has the draws.

    `CompiledModel.with_data` leaves the `pm.Model` as it is, and PyMC's own functions, such as
    `pm.sample_posterior_predictive` and `pm.compute_log_likelihood`, take the data of the `pm.Model`: tell it of the
    new ones by `pm.set_data` first, and check it by this.

    Parameters
    ----------
    result
        Of `sample_numba`, `resume` or `merge`, also one that was stored in a file and loaded.
    model
        A `pm.Model`, or a `CompiledModel`.

    Raises
    ------
    ModelError
        If arrays differ in shape or values, with their names, or the result has no fingerprints of its data.
    """
    if FINGERPRINTS not in result.attrs:
        raise ModelError("This result has no fingerprints of its data: it was not made by this version of nutmill.")
    if isinstance(model, CompiledModel):
        found = fingerprints(model)
    else:
        from nutmill.model.graphs.pymc_model import data_of  # brings PyMC, which a compiled model does not need

        found = {name: _fingerprint(value) for name, value in data_of(model).items()}
    expected = json.loads(result.attrs[FINGERPRINTS])
    if others := [name for name, digest in expected.items() if found.get(name) != digest]:
        names = ", ".join(others)
        raise ModelError(
            f"The model holds other data than the draws are of: {names}. Give it the same by pm.set_data, which needs "
            "observed values to be a pm.Data."
        )
