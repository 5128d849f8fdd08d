"""An autoregression of order five, written with slices instead of a loop: posteriordb's `arK-arK`."""

import pymc as pm

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `arK.stan`: 7 parameters, 200 observations of which the first five start it."""
    data = load_data("arK")
    y, order = data["y"], int(data["K"])
    with pm.Model() as model:
        alpha = pm.Normal("alpha", 0.0, 10.0)
        beta = pm.Normal("beta", 0.0, 10.0, shape=order)
        sigma = pm.HalfCauchy("sigma", 2.5)
        mean = alpha
        for lag in range(1, order + 1):
            mean = mean + beta[lag - 1] * y[order - lag : -lag]
        pm.Normal("y", mean, sigma, observed=y[order:])
    return model
