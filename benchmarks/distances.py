"""Measures how far the moments of draws lie from reference moments."""

from typing import NamedTuple

import arviz as az
import numpy as np
import xarray as xr

from benchmarks.models.posteriordb import Reference


class Distance(NamedTuple):
    """How far mean and standard deviation of a scalar lie from the reference, in standard errors of both."""

    mean: float
    sd: float


def distances(posterior: xr.Dataset, references: dict[str, Reference]) -> dict[str, Distance]:
    """Compare the moments of `posterior` with `references`, scalar by scalar, in standard errors of both.

    Parameters
    ----------
    posterior
        Draws of at least the variables that `references` speaks of, dims chain and draw first.
    references
        Moments by Stan's names of scalars, as `tau` and `theta[1]`.
    """
    mean, sd = posterior.mean(("chain", "draw")), posterior.std(("chain", "draw"), ddof=1)
    # ArviZ 0.23 cannot compute the error of a standard deviation, so it comes from that of the variance.
    error = az.mcse(posterior, method="mean")
    sd_error = az.mcse((posterior - mean) ** 2, method="mean") / (2.0 * sd)
    means, sds, errors, sd_errors = (scalars(values) for values in (mean, sd, error, sd_error))
    return {
        name: Distance(
            (means[name] - known.mean) / np.hypot(errors[name], known.mcse_mean),
            (sds[name] - known.sd) / np.hypot(sd_errors[name], known.mcse_sd),
        )
        for name, known in references.items()
    }


def scalars(values: xr.Dataset) -> dict[str, float]:
    """Name every element of `values` as Stan does: `mu`, `theta[1]`, `omega[1,2]`, counted from one."""
    named = {}
    for name, array in values.items():
        for index in np.ndindex(array.shape):
            label = f"[{','.join(str(i + 1) for i in index)}]" if index else ""
            named[f"{name}{label}"] = float(array.values[index])
    return named
