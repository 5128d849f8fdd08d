"""Judges draws: effective sample sizes and R-hat of the free parameters, means with their errors."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import arviz
import numpy as np
import xarray as xr

from nutmill.diagnosis.parameters import MAX_RHAT
from nutmill.diagnosis.posterior_scalars import scalars_of

# What is asked of every scalar of a clean run, in bulk and tails.
MIN_ESS = 400.0

_MOST = 1200  # scalars: ArviZ takes three milliseconds for each


class Quality(NamedTuple):
    """How good a set of draws is, over all of its scalars."""

    ess_bulk_min: float
    ess_bulk_median: float
    ess_tail_min: float
    ess_tail_median: float
    rhat_max: float


class Mean(NamedTuple):
    """The posterior mean of a scalar with its Monte Carlo standard error."""

    value: float
    mcse: float


class Judged(NamedTuple):
    """The quality of draws, the mean of every scalar that was judged by its label, and how many scalars there are."""

    quality: Quality
    means: dict[str, Mean]
    n_scalars: int


def quality(posterior: xr.Dataset) -> Quality:
    """Compute effective sample sizes and R-hat of `posterior` (dims chain and draw first), per scalar."""
    bulk = _values(arviz.ess(posterior, method="bulk"))
    # The two lines of ArviZ have different default tails.
    tail = _values(arviz.ess(posterior, method="tail", prob=(0.05, 0.95)))
    rhat = _values(arviz.rhat(posterior))
    return Quality(
        float(bulk.min()), float(np.median(bulk)), float(tail.min()), float(np.median(tail)), float(rhat.max())
    )


def is_clean(quality: Mapping[str, float], divergences: int) -> bool:
    """Tell whether nothing speaks against a run: R-hat and ESS of every scalar, bulk and tails, no divergence.

    `quality` has the fields of a `Quality` by name.
    """
    enough = quality["ess_bulk_min"] >= MIN_ESS and quality["ess_tail_min"] >= MIN_ESS
    return enough and quality["rhat_max"] <= MAX_RHAT and divergences == 0


def judge(posterior: xr.Dataset, names: Sequence[str]) -> Judged:
    """Compute the quality of the free variables' scalars, of more than 1200 an even part, and the mean of each.

    A label is as ``theta[Choate]``. `posterior` has the dims chain and draw first; `names` are the free variables of
    the model.
    """
    columns, labels, n_scalars = scalars_of(posterior, names, _MOST)
    columns = columns.astype(np.float64)
    moves = np.ptp(columns, axis=(0, 1)) > 0.0  # the diagonal of a correlation matrix has neither
    draws = xr.Dataset({"x": (("chain", "draw", "parameter"), columns[..., moves])})
    with np.errstate(divide="ignore", invalid="ignore"):
        judged = quality(draws)
        mcse = arviz.mcse(draws, method="mean")["x"].values
    moving = np.array(labels, dtype=object)[moves]
    means = columns[..., moves].mean(axis=(0, 1))
    by_label = {label: Mean(float(m), float(e)) for label, m, e in zip(moving, means, mcse, strict=True)}
    return Judged(judged, by_label, n_scalars)


def _values(dataset: xr.Dataset) -> np.ndarray:
    return np.concatenate([np.ravel(array.values) for array in dataset.values()])
