"""A smooth surface over two coordinates, each with a length of its own: a Gaussian process by basis functions."""

import numpy as np
import pymc as pm

ROWS, SEED = 600, 20261204


def build() -> pm.Model:
    """Build the model: HSGP of 12 x 12 functions, 149 parameters, 600 rows."""
    where, y = arrays().values()
    with pm.Model() as model:
        lengths = pm.InverseGamma("lengths", 5.0, 3.0, shape=2)
        height = pm.HalfNormal("height", 1.0)
        process = pm.gp.HSGP(m=[12, 12], c=1.5, cov_func=height**2 * pm.gp.cov.Matern52(2, ls=lengths))
        level = pm.Normal("level", 0.0, 1.0)
        surface = process.prior("surface", X=where)
        pm.Normal("y", level + surface, pm.HalfNormal("noise", 1.0), observed=y)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: two coordinates and a value for each row."""
    rng = np.random.default_rng(SEED)
    where = rng.uniform(-1.0, 1.0, (ROWS, 2))
    height = np.sin(3.0 * where[:, 0]) + 0.5 * np.cos(6.0 * where[:, 1])
    return {"where": where, "y": height + 0.3 * rng.normal(size=ROWS)}
