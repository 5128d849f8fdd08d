"""Fingerprints of a model's data, which a result carries, so that a model with other data is noticed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from nutmill.errors import ModelError
from nutmill.native.compiled import CompiledModel

if TYPE_CHECKING:
    import arviz
    import xarray as xr

FINGERPRINTS = "data_fingerprints"  # attribute of results
_DIGITS = 16


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
