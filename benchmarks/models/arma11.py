"""An ARMA(1, 1) time series with the priors of posteriordb's `arma-arma11`."""

import pymc as pm

from benchmarks.models import arma
from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `arma11.stan`: 4 parameters, 200 observations."""
    y = load_data("arma")["y"]
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0)
        phi, theta = pm.Normal("phi", 0.0, 2.0), pm.Normal("theta", 0.0, 2.0)
        sigma = pm.HalfCauchy("sigma", 2.5)
        pm.Potential("likelihood", pm.logp(pm.Normal.dist(0.0, sigma), arma.errors(y, mu, phi, theta)).sum())
    return model
