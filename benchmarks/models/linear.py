"""Linear regression with flat priors of its coefficients, the form that most posteriors of posteriordb share."""

from collections.abc import Sequence

import numpy as np
import pymc as pm


def regression(
    name: str, outcome: np.ndarray, predictors: Sequence[np.ndarray], noise_scale: float | None = None
) -> pm.Model:
    """Build `outcome ~ normal(beta[1] + beta[2] * predictors[0] + ..., sigma)`, as Stan counts.

    Parameters
    ----------
    name
        Of the outcome.
    outcome, predictors : (n,)
    noise_scale
        Of the half-Cauchy prior of `sigma`; None: a flat one.
    """
    with pm.Model() as model:
        beta = pm.Flat("beta", shape=1 + len(predictors))
        sigma = pm.HalfFlat("sigma") if noise_scale is None else pm.HalfCauchy("sigma", noise_scale)
        mean = beta[0]
        for number, values in enumerate(predictors, start=1):
            mean = mean + beta[number] * values
        pm.Normal(name, mean, sigma, observed=outcome)
    return model
