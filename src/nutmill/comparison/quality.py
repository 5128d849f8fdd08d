"""Judges draws: effective sample sizes and R-hat of the free parameters, means with their errors."""

from collections.abc import Sequence
from typing import NamedTuple

import arviz
import numpy as np
import xarray as xr

from nutmill.convergence import scalar_columns


class Quality(NamedTuple):
    """How good a set of draws is, over the scalars of the free parameters (of many, an even part)."""

    ess_bulk_min: float
    ess_bulk_median: float
    ess_tail_min: float
    ess_tail_median: float
    rhat_max: float


class Mean(NamedTuple):
    """The posterior mean of a scalar with its Monte Carlo standard error."""

    value: float
    mcse: float


def judge(posterior: xr.Dataset, names: Sequence[str]) -> tuple[Quality, dict[str, Mean]]:
    """Compute the quality of draws, and the mean of every scalar by its label, as ``theta[Choate]``.

    Parameters
    ----------
    posterior
        Dims chain and draw first.
    names
        The free variables of the model.
    """
    columns, labels, _ = scalar_columns(posterior, names)
    columns = columns.astype(np.float64)
    moves = np.ptp(columns, axis=(0, 1)) > 0.0  # the diagonal of a correlation matrix has neither
    draws = xr.Dataset({"x": (("chain", "draw", "parameter"), columns[..., moves])})
    with np.errstate(divide="ignore", invalid="ignore"):
        bulk = arviz.ess(draws, method="bulk")["x"].values
        # The two lines of ArviZ have different default tails.
        tail = arviz.ess(draws, method="tail", prob=(0.05, 0.95))["x"].values
        rhat = arviz.rhat(draws)["x"].values
        mcse = arviz.mcse(draws, method="mean")["x"].values
    quality = Quality(
        float(bulk.min()), float(np.median(bulk)), float(tail.min()), float(np.median(tail)), float(rhat.max())
    )
    moving = np.array(labels, dtype=object)[moves]
    means = columns[..., moves].mean(axis=(0, 1))
    return quality, {label: Mean(float(m), float(e)) for label, m, e in zip(moving, means, mcse, strict=True)}
