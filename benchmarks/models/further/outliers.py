"""A regression with outliers: Student-t errors whose tails are estimated, ten covariates that go together."""

import numpy as np
import pymc as pm

ROWS, COLUMNS, SEED = 500, 10, 20261212


def build() -> pm.Model:
    """Build the model: 13 parameters, 500 rows, one in twenty of them an outlier."""
    x, y = arrays().values()
    with pm.Model() as model:
        level = pm.Normal("level", 0.0, 10.0)
        slope = pm.Normal("slope", 0.0, 1.0, shape=COLUMNS)
        tails = pm.Gamma("tails", 2.0, 0.1)
        pm.StudentT("y", nu=tails, mu=level + pm.math.dot(x, slope), sigma=pm.HalfCauchy("spread", 1.0), observed=y)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: covariates with a common factor, and a value with outliers."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(ROWS, COLUMNS)) + 2.0 * rng.normal(size=(ROWS, 1))
    y = 1.0 + x @ rng.normal(size=COLUMNS) + 0.5 * rng.normal(size=ROWS)
    return {"x": x, "y": y + 8.0 * rng.normal(size=ROWS) * (rng.uniform(size=ROWS) < 0.05)}
