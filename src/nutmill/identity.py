"""What a run is of: model, data, versions and processor, told so that another process can compare."""

import hashlib
import logging
import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nutmill.compiled import CompiledModel
from nutmill.errors import CheckpointError

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


def check_same(mine: Mapping[str, Any], theirs: Mapping[str, Any], where: str | Path) -> None:
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
