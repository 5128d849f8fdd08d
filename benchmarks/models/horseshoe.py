"""A regression with more effects than it can tell, under a regularised horseshoe, on data made by a seed."""

import numpy as np
import pymc as pm

ROWS, COVARIATES, RELEVANT, SEED = 150, 200, 5, 20261128


def build(rows: int = ROWS) -> pm.Model:
    """Build the model of Piironen and Vehtari (2017), non-centred: 404 parameters."""
    x, y = arrays(rows).values()
    with pm.Model(coords={"covariate": np.arange(COVARIATES)}) as model:
        sigma = pm.HalfNormal("sigma", 2.0)
        overall = pm.HalfStudentT("overall", 2, RELEVANT / (COVARIATES - RELEVANT) / np.sqrt(rows))
        local = pm.HalfStudentT("local", 5, dims="covariate")
        slab = pm.InverseGamma("slab", 1.0, 1.0)
        intercept = pm.Normal("intercept", 0.0, 5.0)
        raw = pm.Normal("raw", 0.0, 1.0, dims="covariate")
        shrunk = local * pm.math.sqrt(slab / (slab + (sigma * overall * local) ** 2))
        effect = pm.Deterministic("effect", sigma * overall * shrunk * raw, dims="covariate")
        pm.Normal("y", intercept + x @ effect, sigma, observed=y)
    return model


def arrays(rows: int = ROWS) -> dict[str, np.ndarray]:
    """Make the data by their names: covariates and values."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(rows, COVARIATES))
    return {"x": x, "y": x[:, :RELEVANT] @ np.array([3.0, -2.0, 2.0, -1.5, 1.0]) + rng.normal(size=rows)}
