"""A logistic regression whose gradient is two products with a tall matrix, on data made by a seed."""

import numpy as np
import pymc as pm

ROWS, COLUMNS, SEED = 20_000, 50, 20261122


def build(rows: int = ROWS, columns: int = COLUMNS) -> pm.Model:
    """Build the model: a parameter for each column and one more, a design of shape (rows, columns)."""
    rng = np.random.default_rng(SEED)
    design = rng.normal(size=(rows, columns))
    logits = design @ (rng.normal(size=columns) / np.sqrt(columns)) - 0.3
    outcome = (rng.uniform(size=rows) < 1.0 / (1.0 + np.exp(-logits))).astype(int)
    with pm.Model() as model:
        intercept = pm.Normal("intercept", 0.0, 2.5)
        beta = pm.Normal("beta", 0.0, 1.0, shape=columns)
        pm.Bernoulli("outcome", logit_p=intercept + design @ beta, observed=outcome)
    return model
