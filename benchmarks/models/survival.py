"""Weibull survival times with right censoring, on data made by a seed."""

import numpy as np
import pymc as pm

PATIENTS, COVARIATES, SEED = 2000, 8, 20261128


def build(patients: int = PATIENTS) -> pm.Model:
    """Build the model: accelerated failure times, 10 parameters; who left the study is known to have lived so long."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(patients, COVARIATES))
    scale = np.exp(1.0 + x @ np.linspace(-0.4, 0.4, COVARIATES))
    time = scale * rng.weibull(1.5, size=patients)
    left = rng.exponential(6.0, size=patients)
    with pm.Model(coords={"covariate": np.arange(COVARIATES)}) as model:
        shape = pm.HalfNormal("shape", 2.0)
        intercept = pm.Normal("intercept", 0.0, 2.0)
        effect = pm.Normal("effect", 0.0, 1.0, dims="covariate")
        latent = pm.Weibull.dist(alpha=shape, beta=pm.math.exp(intercept + x @ effect))
        upper = np.where(time < left, np.inf, left)
        pm.Censored("time", latent, lower=None, upper=upper, observed=np.minimum(time, left))
    return model
