"""An unknown covariance of 20 variables under an LKJ prior, on observations made by a seed."""

import numpy as np
import pymc as pm

SIZE, ROWS, SEED = 20, 500, 20261122


def build(rows: int = ROWS) -> pm.Model:
    """Build the model: 230 parameters, of which 210 are the entries of a Cholesky factor."""
    rng = np.random.default_rng(SEED)
    factor = np.tril(rng.normal(size=(SIZE, SIZE)) / np.sqrt(SIZE)) + np.eye(SIZE)
    y = rng.normal(size=(rows, SIZE)) @ factor.T
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 1.0, shape=SIZE)
        scales = pm.HalfNormal.dist(1.0)
        cholesky, _, _ = pm.LKJCholeskyCov("covariance", eta=2.0, n=SIZE, sd_dist=scales)
        pm.MvNormal("y", mean, chol=cholesky, observed=y)
    return model
