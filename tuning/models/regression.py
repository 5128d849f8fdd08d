"""A linear regression of 20000 rows and 50 columns: two products of its 8 MB matrix with a vector in each gradient."""

import numpy as np
import pymc as pm

ROWS, COLUMNS, SEED = 20000, 50, 1


def build() -> pm.Model:
    """Build the model: COLUMNS + 2 parameters, ROWS observations."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(ROWS, COLUMNS))
    y = x @ rng.normal(size=COLUMNS) + rng.normal(size=ROWS)
    with pm.Model() as model:
        intercept = pm.Normal("intercept", 0.0, 5.0)
        slopes = pm.Normal("slopes", 0.0, 5.0, shape=COLUMNS)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.Normal("y", intercept + pm.math.dot(x, slopes), sigma, observed=y)
    return model


model = build()
