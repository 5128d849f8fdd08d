"""Judges draws: effective sample sizes, R-hat, and the distance of their moments from reference moments."""

from typing import NamedTuple

import arviz as az
import numpy as np
import xarray as xr

from benchmarks.models.posteriordb import Reference


class Quality(NamedTuple):
    """How good a set of draws is, over all scalars of the free parameters."""

    ess_bulk_min: float
    ess_bulk_median: float
    ess_tail_min: float
    ess_tail_median: float
    rhat_max: float


class Distance(NamedTuple):
    """How far mean and standard deviation of a scalar lie from the reference, in standard errors of both."""

    mean: float
    sd: float


def quality(posterior: xr.Dataset) -> Quality:
    """Compute effective sample sizes and R-hat of `posterior` (dims chain and draw first), per scalar."""
    bulk = _values(az.ess(posterior, method="bulk"))
    # The two lines of ArviZ have different default tails.
    tail = _values(az.ess(posterior, method="tail", prob=(0.05, 0.95)))
    rhat = _values(az.rhat(posterior))
    return Quality(
        float(bulk.min()),
        float(np.median(bulk)),
        float(tail.min()),
        float(np.median(tail)),
        float(rhat.max()),
    )


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


def _values(dataset: xr.Dataset) -> np.ndarray:
    return np.array(list(scalars(dataset).values()))
