"""A correlated normal vector whose Cholesky factor is known: two triangular systems per gradient."""

import numpy as np
import pymc as pm

SIZE, SEED = 100, 20261129


def build(size: int = SIZE) -> pm.Model:
    """Build the model: so many parameters and nothing observed."""
    rng = np.random.default_rng(SEED)
    draws = rng.normal(size=(3 * size, size))
    covariance = draws.T @ draws / len(draws) + 0.1 * np.eye(size)
    with pm.Model() as model:
        pm.MvNormal("x", np.zeros(size), chol=np.linalg.cholesky(covariance))
    return model
