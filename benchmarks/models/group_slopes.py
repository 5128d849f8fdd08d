"""Five slopes of thirty groups under an LKJ prior, in their non-centred form, on data made by a seed."""

import numpy as np
import pymc as pm

GROUPS, ROWS, EFFECTS, SEED = 30, 1500, 5, 20261129


def build() -> pm.Model:
    """Build the model: 171 parameters; small products of matrices, and sums over a short axis."""
    rng = np.random.default_rng(SEED)
    group = rng.integers(0, GROUPS, ROWS)
    x = rng.normal(size=(ROWS, EFFECTS))
    effects = rng.normal(size=(GROUPS, EFFECTS)) @ np.diag(np.linspace(0.2, 0.8, EFFECTS)) + 0.5
    y = (x * effects[group]).sum(axis=1) + 0.5 * rng.normal(size=ROWS)
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 1.0, shape=EFFECTS)
        cholesky, _, _ = pm.LKJCholeskyCov("covariance", eta=2.0, n=EFFECTS, sd_dist=pm.HalfNormal.dist(1.0))
        raw = pm.Normal("raw", 0.0, 1.0, shape=(EFFECTS, GROUPS))
        slopes = pm.Deterministic("slopes", mean + (cholesky @ raw).T)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", (x * slopes[group]).sum(axis=1), sigma, observed=y)
    return model
