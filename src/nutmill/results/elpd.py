"""Expected log predictive densities in the form that `arviz.compare` takes, for both lines of ArviZ."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nutmill.errors import ArgumentError
from nutmill.results.trace import is_arviz_1

if TYPE_CHECKING:
    import xarray as xr


_SCALES = {"log": 1.0, "negative_log": -1.0, "deviance": -2.0}


class Predicted(NamedTuple):
    """How well observations were predicted by fits that had not seen them."""

    elpd_i: xr.DataArray  # log predictive density of each
    lpd_i: xr.DataArray  # that of a fit to all of them
    n_samples: int  # draws of each fit
    n_folds: int  # fits
    is_doubtful: bool  # whether a fit has divergences or a large R-hat
    fits: xr.Dataset  # what each fit says of itself


_POINTWISE = "elpd_i" if is_arviz_1() else "loo_i"


def elpd_of(predicted: Predicted) -> Any:
    """Give an `ELPDData`: of ArviZ 1 that of k folds, of ArviZ 0.23 that of `loo`, the only one that it compares."""
    elpd_i = predicted.elpd_i
    values = elpd_i.values.ravel()
    numbers: dict[str, Any] = {
        "elpd": float(values.sum()),
        "se": float(np.sqrt(len(values) * np.var(values))),
        "p": float((predicted.lpd_i.values - elpd_i.values).sum()),
        "n_samples": predicted.n_samples,
        "n_data_points": len(values),
        "warning": predicted.is_doubtful,
    }
    if is_arviz_1():
        # ArviZ 0.23 comes with an older package of this name, without it.
        of_folds: Any = import_module("arviz_stats.utils").ELPDDataLOOKFold
        return of_folds(
            **numbers,
            scale="log",
            good_k=None,
            elpd_i=elpd_i,
            n_folds=predicted.n_folds,
            p_kfold_i=predicted.lpd_i - elpd_i,
            fold_fits={"fits": predicted.fits},
        )
    from arviz.stats.stats_utils import ELPDData

    names = {"elpd": "elpd_loo", "p": "p_loo"}
    named = {names.get(name, name): value for name, value in numbers.items()}
    named |= {"loo_i": elpd_i.rename("loo_i"), "scale": "log", "fold_fits": {"fits": predicted.fits}}
    return ELPDData(data=list(named.values()), index=list(named))


class Pointwise(NamedTuple):
    """What `arviz.loo` says of each observation, in the order of NumPy's ``ravel``; on the scale of log densities."""

    elpd: np.ndarray  # (n,) float64
    pareto_k: np.ndarray  # (n,) float64


def pointwise_of(loo: Any) -> Pointwise:
    """Read what `arviz.loo(..., pointwise=True)` gave, of either line; raises ArgumentError if it is something else."""
    elpd, pareto_k = (_part(loo, name) for name in (_POINTWISE, "pareto_k"))
    if elpd is None or pareto_k is None:
        raise ArgumentError(f"loo must be what arviz.loo(result, pointwise=True) gives, not {type(loo).__name__}.")
    return Pointwise(np.ravel(elpd) / _SCALES[loo["scale"]], np.ravel(pareto_k))


def with_exact(loo: Any, numbers: np.ndarray, elpd: np.ndarray, *, is_doubtful: bool) -> Any:
    """Give the same with exact values of some observations, whose Pareto k is 0 then.

    Parameters
    ----------
    loo : ELPDData
    numbers : (m,) int
        Of the observations.
    elpd : (m,) float64
        Their log predictive densities.
    is_doubtful : bool
        Whether one of the fits has divergences or a large R-hat.
    """
    made, before, scale = copy.deepcopy(loo), pointwise_of(loo), _SCALES[loo["scale"]]
    gain = elpd - before.elpd[numbers]
    for name, values in ((_POINTWISE, elpd * scale), ("pareto_k", np.zeros(len(numbers)))):
        array = made[name].copy()
        array.values.reshape(-1)[numbers] = values
        made[name] = array
    if _part(made, "p_loo_i") is not None:
        made["p_loo_i"].values.reshape(-1)[numbers] -= gain
    total, p = ("elpd", "p") if is_arviz_1() else ("elpd_loo", "p_loo")
    made[total] = float(made[_POINTWISE].values.sum())
    made["se"] = _error_of_loo(made[_POINTWISE].values.ravel())
    made[p] = float(made[p] - gain.sum())
    made["warning"] = bool((made["pareto_k"].values > loo["good_k"]).any()) or is_doubtful
    return made


def _error_of_loo(values: np.ndarray) -> float:
    """Standard error as `arviz.loo` of each line has it."""
    return float(np.sqrt(len(values) * np.var(values, ddof=int(is_arviz_1()))))


def _part(loo: Any, name: str) -> Any:
    try:
        return loo[name]
    except (KeyError, TypeError, AttributeError, IndexError):
        return None
