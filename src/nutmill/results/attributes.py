"""What a result says of its run: attributes as plain values, whatever form a file holds them in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from nutmill.errors import ArgumentError

if TYPE_CHECKING:
    import arviz
    import xarray as xr

# Groups that say something of the run, besides the whole; of the same name, the whole has the last word.
_GROUPS = ("sample_stats", "posterior")


def attributes_of(result: arviz.InferenceData | xr.DataTree) -> dict[str, Any]:
    """Give what a result says of its run, as plain values.

    netCDF and Zarr hold text and numbers alone, so what has parts is stored as JSON: the layout, the seconds that
    compiling and sampling took, versions, the settings. Here such attributes are dictionaries and lists again.

    Parameters
    ----------
    result
        Of `sample`, `resume`, `merge`, `sample_many` or `pm.sample`, also one that was stored in a file and loaded.

    Returns
    -------
    dict
        By name: the attributes of the whole, and of its groups ``posterior`` and ``sample_stats``.

    Raises
    ------
    ArgumentError
        If it is no result.

    Examples
    --------
    ``attributes_of(result)["sampling_seconds"]["warmup_wall"]``
    """
    if not hasattr(result, "attrs") or not hasattr(result, "groups"):
        raise ArgumentError(f"A result is an xarray.DataTree or arviz.InferenceData, not {type(result).__name__}.")
    said = [result[name].attrs for name in _GROUPS if name in result] + [result.attrs]
    return {str(name): _plain(value) for attrs in said for name, value in attrs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:  # a text that only begins like that
            return value
    return value
