"""`refit`: cross-validation by exact fits, each without some of the observations, from one compile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nutmill.errors import ArgumentError
from nutmill.many.fitting import options_of_fits
from nutmill.many.folds import Fold, folds_of
from nutmill.many.predicting import Observations, Question, answers, observations
from nutmill.native.labels import coordinates, fitting_dims
from nutmill.results.elpd import Predicted, elpd_of
from nutmill.sampling.request import Seed

if TYPE_CHECKING:
    import xarray as xr


def refit(
    model: Any,
    folds: Any,
    *,
    var_name: str | None = None,
    joint: bool = False,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float = 0.8,
    random_seed: Seed = None,
    checkpoint: str | os.PathLike | None = None,
    every: float = 10.0,
    progressbar: bool = True,
) -> Any:
    """Cross-validate a model: fit it without some observations, predict them, and so on with all folds.

    What is left out stays in the model, and counts nothing in its density: parameters of its own, if it has any, are
    drawn from what the rest says of them. So any model is cross-validated as it is written.

    Parameters
    ----------
    model
        A `pm.Model`; or what ``compile_model(model, leave_out=True)`` made of one, also from a file that was saved
        with ``log_likelihood=True``.
    folds
        A number: observations are dealt out to so many folds. Labels, one for each observation: those of each label
        are left out in turn, whole groups. Or pairs of the observations that are fitted and those that are predicted,
        numbers or truth values, as scikit-learn's splitters and `nutmill.leave_future_out` give them. Observations are
        numbered in the order of NumPy's ``ravel``.
    var_name
        The observed variable, if there are several; the others are always fitted.
    joint
        The log density of all that a fold predicts together, in place of one of each observation.
    draws, tune, chains, cores, target_accept, checkpoint, every, progressbar
        Of each fit, as in `sample_many`.
    random_seed
        As in `sample_many`; it deals out observations too.

    Returns
    -------
    ELPDData
        ArviZ's, which `arviz.compare` takes. ``warning`` says that a fit has divergences or a large R-hat, and
        ``fold_fits["fits"]`` what each fit says of itself, with the largest Monte Carlo standard error of what it
        predicts as ``mcse``. ``p`` is what is lost to a fit of all observations.

    Raises
    ------
    ArgumentError
        If folds do not fit the observations, or another argument cannot be used.
    ModelError
        If the model observes nothing, or its log likelihood is NaN.
    SamplingError
        If a chain has to stop.
    CheckpointError
        If the folder is of another call, or cannot be written.
    """
    options = options_of_fits(locals())
    observed = observations(model, var_name, progressbar=progressbar)
    found = folds_of(folds, observed.size, options["random_seed"])
    if not joint:
        _check_once(found)
    wanted = [[fold.held_out] if joint else list(fold.held_out[:, None]) for fold in found]
    without = [Question(number, fold.is_fitted, wanted[number]) for number, fold in enumerate(found)]
    everything = Question("all", np.ones(observed.size, bool), [each for of_fold in wanted for each in of_fold])
    kept = {"checkpoint": checkpoint, "every": every, "progressbar": progressbar}
    fits = answers(observed, without, {**options, **kept})
    whole = answers(observed, [everything], {**options, "progressbar": False})
    elpd_i, lpd_i = _labelled(observed, found, (np.concatenate(fits.values), whole.values[0]), joint=joint)
    return elpd_of(Predicted(elpd_i, lpd_i, draws * chains, len(found), fits.are_doubtful, fits.fits))


def _check_once(folds: Sequence[Fold]) -> None:
    """Refuse to predict an observation twice, each by itself: their sum would count it twice."""
    numbers, counts = np.unique(np.concatenate([fold.held_out for fold in folds]), return_counts=True)
    if (counts > 1).any():
        raise ArgumentError(
            f"Observation {numbers[np.argmax(counts > 1)]} is predicted by {counts.max()} folds: take folds that do "
            "not overlap, or joint=True, which looks at each fold as a whole."
        )


def _labelled(
    observed: Observations, folds: Sequence[Fold], values: Sequence[np.ndarray], *, joint: bool
) -> list[xr.DataArray]:
    """Put values in the order of the observations, with the model's dimensions where there is one for each."""
    import xarray as xr

    if joint:
        return [xr.DataArray(each, dims=["fold"], coords={"fold": np.arange(len(folds))}) for each in values]
    numbers = np.concatenate([fold.held_out for fold in folds])
    order = np.argsort(numbers)
    if len(numbers) < observed.size:
        part = {"observation": numbers[order]}
        return [xr.DataArray(each[order], dims=["observation"], coords=part) for each in values]
    name, description = observed.name, observed.compiled.description
    dims = fitting_dims(name, observed.shape, description.array_dims.get(name, ())[: len(observed.shape)], {})
    coords = coordinates(dict(zip(dims, observed.shape, strict=True)), description.coords)
    return [xr.DataArray(each[order].reshape(observed.shape), dims=dims, coords=coords, name=name) for each in values]
