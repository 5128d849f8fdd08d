"""Bayesian linear regression on correlated or independent predictors: posteriordb's `sblrc-blr` and `sblri-blr`."""

import pymc as pm

from benchmarks.models.posteriordb import load_data


def build(data_set: str = "sblrc") -> pm.Model:
    """Build the model of `blr.stan`: 6 parameters, 100 observations, a matrix product."""
    data = load_data(data_set)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 10.0, shape=int(data["D"]))
        sigma = pm.HalfNormal("sigma", 10.0)
        pm.Normal("y", data["X"] @ beta, sigma, observed=data["y"])
    return model
