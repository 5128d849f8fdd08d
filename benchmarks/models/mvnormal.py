"""A correlated normal vector whose covariance has an unknown scale: a Cholesky factor of 200 rows per gradient."""

import numpy as np
import pymc as pm

SIZE, SEED = 200, 20261122


def build() -> pm.Model:
    """Build the model: 201 parameters, noisy observations of the vector."""
    rng = np.random.default_rng(SEED)
    factor = rng.normal(size=(SIZE, SIZE)) / np.sqrt(SIZE)
    correlated = factor @ factor.T
    y = rng.multivariate_normal(np.zeros(SIZE), correlated + np.eye(SIZE)) + 0.5 * rng.normal(size=SIZE)
    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 1.0)
        x = pm.MvNormal("x", np.zeros(SIZE), cov=scale**2 * correlated + np.eye(SIZE), shape=SIZE)
        pm.Normal("y", x, 0.5, observed=y)
    return model
