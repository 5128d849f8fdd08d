"""A logistic regression whose gradient is two products with a tall matrix, on data made by a seed."""

import numpy as np
import pymc as pm

ROWS, COLUMNS, SEED = 20_000, 50, 20261122


def build() -> pm.Model:
    """Build the model: 51 parameters, a design of shape (20000, 50)."""
    rng = np.random.default_rng(SEED)
    design = rng.normal(size=(ROWS, COLUMNS))
    logits = design @ (rng.normal(size=COLUMNS) / np.sqrt(COLUMNS)) - 0.3
    outcome = (rng.uniform(size=ROWS) < 1.0 / (1.0 + np.exp(-logits))).astype(int)
    with pm.Model() as model:
        intercept = pm.Normal("intercept", 0.0, 2.5)
        beta = pm.Normal("beta", 0.0, 1.0, shape=COLUMNS)
        pm.Bernoulli("outcome", logit_p=intercept + design @ beta, observed=outcome)
    return model
