"""Names the draws of a result by a digest of their bytes, to tell whether two results are the same."""

import hashlib
from collections.abc import Mapping

import numpy as np

# All that sampling has made; attributes hold times and places, which differ.
GROUPS = ("posterior", "sample_stats")


def digest(trace: Mapping) -> str:
    """Return the SHA-256 of every variable of posterior and statistics, with names, dtypes and shapes."""
    hasher = hashlib.sha256()
    for group in GROUPS:
        for name in sorted(map(str, trace[group].data_vars)):
            values = np.ascontiguousarray(trace[group][name].values)
            hasher.update(f"{group} {name} {values.dtype.str} {values.shape}\n".encode() + values.tobytes())
    return hasher.hexdigest()
