"""A logistic regression whose gradient is two products with a tall matrix, on data made by a seed."""

import numpy as np
import pymc as pm

ROWS, COLUMNS, SEED = 20_000, 50, 20261122


def build(rows: int = ROWS, columns: int = COLUMNS, *, is_data_named: bool = False) -> pm.Model:
    """Build the model: a parameter for each column and one more, a design of shape (rows, columns).

    With `is_data_named` the arrays are `pm.Data` with the names of `arrays`, so that others can take their place.
    """
    given = arrays(rows, columns)
    with pm.Model() as model:
        data = {name: pm.Data(name, array) for name, array in given.items()} if is_data_named else given
        intercept = pm.Normal("intercept", 0.0, 2.5)
        beta = pm.Normal("beta", 0.0, 1.0, shape=columns)
        pm.Bernoulli("outcome", logit_p=intercept + data["design"] @ beta, observed=data["observed_outcome"])
    return model


def arrays(rows: int = ROWS, columns: int = COLUMNS) -> dict[str, np.ndarray]:
    """Make the data by its names: `design`, shape (rows, columns), and `observed_outcome`, zeros and ones (rows,)."""
    rng = np.random.default_rng(SEED)
    design = rng.normal(size=(rows, columns))
    logits = design @ (rng.normal(size=columns) / np.sqrt(columns)) - 0.3
    outcome = (rng.uniform(size=rows) < 1.0 / (1.0 + np.exp(-logits))).astype(int)
    return {"design": design, "observed_outcome": outcome}
