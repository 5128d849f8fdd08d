"""Weibull survival times with right censoring, on data made by a seed."""

import numpy as np
import pymc as pm

PATIENTS, COVARIATES, SEED = 2000, 8, 20261128


def build(patients: int = PATIENTS) -> pm.Model:
    """Build the model: accelerated failure times, 10 parameters; who left the study is known to have lived so long."""
    x, time, is_censored = arrays(patients).values()
    with pm.Model(coords={"covariate": np.arange(COVARIATES)}) as model:
        shape = pm.HalfNormal("shape", 2.0)
        intercept = pm.Normal("intercept", 0.0, 2.0)
        effect = pm.Normal("effect", 0.0, 1.0, dims="covariate")
        latent = pm.Weibull.dist(alpha=shape, beta=pm.math.exp(intercept + x @ effect))
        pm.Censored("time", latent, lower=None, upper=np.where(is_censored, time, np.inf), observed=time)
    return model


def arrays(patients: int = PATIENTS) -> dict[str, np.ndarray]:
    """Make the data by their names: covariates, how long each patient was seen, and whether that was not to the end."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(patients, COVARIATES))
    scale = np.exp(1.0 + x @ np.linspace(-0.4, 0.4, COVARIATES))
    time = scale * rng.weibull(1.5, size=patients)
    left = rng.exponential(6.0, size=patients)
    return {"x": x, "time": np.minimum(time, left), "is_censored": (left <= time).astype(int)}
