"""Counts with more zeros than a Poisson distribution has, on data made by a seed."""

import numpy as np
import pymc as pm

ROWS, COVARIATES, SEED = 3000, 4, 20261128


def build(rows: int = ROWS) -> pm.Model:
    """Build the model: whether there is anything to count, and how much, each with its effects: 10 parameters."""
    x, counts = arrays(rows).values()
    with pm.Model(coords={"covariate": np.arange(COVARIATES), "part": ["there", "count"]}) as model:
        intercept = pm.Normal("intercept", 0.0, 2.0, dims="part")
        effect = pm.Normal("effect", 0.0, 1.0, dims=("part", "covariate"))
        there = pm.math.sigmoid(intercept[0] + x @ effect[0])
        rate = pm.math.exp(intercept[1] + x @ effect[1])
        pm.ZeroInflatedPoisson("counts", psi=there, mu=rate, observed=counts)
    return model


def arrays(rows: int = ROWS) -> dict[str, np.ndarray]:
    """Make the data by their names: covariates and counts."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(rows, COVARIATES))
    effects = np.array([[0.5, -0.4, 0.2, 0.0], [0.3, 0.3, -0.3, 0.1]])
    is_there = rng.uniform(size=rows) < 1.0 / (1.0 + np.exp(-(0.5 + x @ effects[0])))
    return {"x": x, "counts": np.where(is_there, rng.poisson(np.exp(0.8 + x @ effects[1])), 0)}
