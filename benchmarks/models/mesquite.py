"""Leaf weight of mesquite bushes on log sizes: posteriordb's `mesquite-logmesquite_logvash`."""

import numpy as np
import pymc as pm

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `logmesquite_logvash.stan`: 7 parameters, 46 observations, correlated predictors."""
    data = load_data("mesquite")
    diam1, diam2 = data["diam1"], data["diam2"]
    volume = np.log(diam1 * diam2 * data["canopy_height"])
    area = np.log(diam1 * diam2)
    shape = np.log(diam1 / diam2)
    height = np.log(data["total_height"])
    with pm.Model() as model:
        beta = pm.Flat("beta", shape=6)
        sigma = pm.HalfFlat("sigma")
        size = beta[1] * volume + beta[2] * area + beta[3] * shape + beta[4] * height
        mean = beta[0] + size + beta[5] * data["group"]
        pm.Normal("log_weight", mean, sigma, observed=np.log(data["weight"]))
    return model
