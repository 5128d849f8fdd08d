"""A marginal Gaussian process: a Cholesky factor of 300 points in each gradient, so BLAS takes nearly all of it."""

import numpy as np
import pymc as pm

POINTS, SEED = 300, 1


def build() -> pm.Model:
    """Build the model: 3 parameters, POINTS observations at random places in [0, 10]."""
    rng = np.random.default_rng(SEED)
    x = np.sort(rng.uniform(0.0, 10.0, POINTS))
    y = np.sin(x) + 0.3 * rng.normal(size=POINTS)
    with pm.Model() as model:
        length_scale = pm.InverseGamma("length_scale", 5.0, 5.0)
        amplitude = pm.HalfNormal("amplitude", 1.0)
        noise = pm.HalfNormal("noise", 1.0)
        distance = (x[:, None] - x[None, :]) ** 2
        covariance = amplitude**2 * pm.math.exp(-0.5 * distance / length_scale**2)
        pm.MvNormal("y", 0.0, cov=covariance + noise**2 * np.eye(POINTS), observed=y)
    return model


model = build()
