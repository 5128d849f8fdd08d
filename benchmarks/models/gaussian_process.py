"""A marginal Gaussian process: three hyper-parameters, a Cholesky factor of all points per gradient."""

import numpy as np
import pymc as pm

POINTS, SEED = 100, 20261122


def build(points: int = POINTS) -> pm.Model:
    """Build the model: 3 parameters, points at locations in [0, 10] made by a seed."""
    x, y = arrays(points).values()
    with pm.Model() as model:
        length_scale = pm.InverseGamma("length_scale", 5.0, 5.0)
        amplitude = pm.HalfNormal("amplitude", 1.0)
        noise = pm.HalfNormal("noise", 1.0)
        covariance = amplitude**2 * pm.gp.cov.ExpQuad(1, ls=length_scale)
        process = pm.gp.Marginal(cov_func=covariance)
        process.marginal_likelihood("y", X=x[:, None], y=y, sigma=noise)
    return model


def arrays(points: int = POINTS) -> dict[str, np.ndarray]:
    """Make the data by their names: locations and values."""
    rng = np.random.default_rng(SEED)
    x = np.sort(rng.uniform(0.0, 10.0, points))
    return {"x": x, "y": np.sin(x) + 0.3 * rng.normal(size=points)}
