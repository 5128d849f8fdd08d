"""Intercepts and slopes that vary together over groups, under an LKJ prior, on data made by a seed."""

import numpy as np
import pymc as pm

GROUPS, ROWS, EFFECTS, SEED = 100, 5000, 3, 20261128


def build(rows: int = ROWS) -> pm.Model:
    """Build the model: 310 parameters, groups in their non-centred form."""
    group, x, y = arrays(rows).values()
    with pm.Model(coords={"group": np.arange(GROUPS), "effect": ["intercept", "first", "second"]}) as model:
        mean = pm.Normal("mean", 0.0, 2.0, dims="effect")
        cholesky, _, _ = pm.LKJCholeskyCov("covariance", eta=2.0, n=EFFECTS, sd_dist=pm.HalfNormal.dist(1.0))
        raw = pm.Normal("raw", 0.0, 1.0, dims=("group", "effect"))
        sigma = pm.HalfNormal("sigma", 1.0)
        varying = mean + raw @ cholesky.T
        pm.Normal("y", (x * varying[group]).sum(axis=1), sigma, observed=y)
    return model


def arrays(rows: int = ROWS) -> dict[str, np.ndarray]:
    """Make the data by their names: for each row the group, what multiplies its effects, and the value."""
    rng = np.random.default_rng(SEED)
    group = rng.integers(0, GROUPS, rows)
    x = np.column_stack([np.ones(rows), rng.normal(size=(rows, EFFECTS - 1))])
    factor = np.array([[0.8, 0.0, 0.0], [-0.3, 0.4, 0.0], [0.1, 0.1, 0.3]])
    effects = np.array([1.0, -0.5, 0.3]) + rng.normal(size=(GROUPS, EFFECTS)) @ factor.T
    y = (x * effects[group]).sum(axis=1) + 0.7 * rng.normal(size=rows)
    return {"group": group, "x": x, "y": y}
