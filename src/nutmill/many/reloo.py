"""`reloo`: exact fits in place of what `arviz.loo` cannot say by weighting draws."""

from typing import Any

import numpy as np

from nutmill.errors import ArgumentError
from nutmill.many.fitting import options_of_fits
from nutmill.many.predicting import Question, answers, observations
from nutmill.results.elpd import pointwise_of, with_exact
from nutmill.sampling.request import Seed


def reloo(
    model: Any,
    loo: Any,
    *,
    k_threshold: float = 0.7,
    var_name: str | None = None,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float = 0.8,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> Any:
    """Fit the model again without each observation whose Pareto k is large, and put exact values in their places.

    Parameters
    ----------
    model
        As in `refit`: that of the draws that `arviz.loo` looked at, with the same data.
    loo : ELPDData
        What ``arviz.loo(result, pointwise=True)`` gave.
    k_threshold : float
        Of an observation whose Pareto k is larger the weights of draws are not to be trusted (Vehtari et al. 2024).
    var_name
        As in `refit`.
    draws, tune, chains, cores, target_accept, random_seed, progressbar
        Of each fit, as in `sample_many`.

    Returns
    -------
    ELPDData
        The same, with exact values of these observations, whose ``pareto_k`` is 0. ``warning`` says that there is
        still a large one, or that a fit has divergences or a large R-hat.

    Raises
    ------
    ArgumentError
        If `loo` is something else, or of other observations than the model's.
    ModelError
        If the model observes nothing, or its log likelihood is NaN.
    SamplingError
        If a chain has to stop.
    """
    options = options_of_fits(locals())
    pareto_k = pointwise_of(loo).pareto_k
    bad = np.flatnonzero(~(pareto_k <= k_threshold))  # NaN too
    if not bad.size:
        return loo
    observed = observations(model, var_name, progressbar=progressbar)
    if len(pareto_k) != observed.size:
        raise ArgumentError(
            f"loo is of {len(pareto_k)} observations, and {observed.name} has {observed.size}: pass the model that "
            "was sampled, with its data."
        )
    without = [
        Question(int(number), np.arange(observed.size) != number, [bad[i : i + 1]]) for i, number in enumerate(bad)
    ]
    fits = answers(observed, without, {**options, "progressbar": progressbar})
    return with_exact(loo, bad, np.concatenate(fits.values), is_doubtful=fits.are_doubtful)
