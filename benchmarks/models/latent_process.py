"""Counts along a line whose rate is a latent Gaussian process, on data made by a seed."""

import numpy as np
import pymc as pm

POINTS, SEED = 40, 20261128


def build(points: int = POINTS) -> pm.Model:
    """Build the model: a Poisson regression on a process in its non-centred form, 43 parameters."""
    x, counts = arrays(points).values()
    with pm.Model() as model:
        length_scale = pm.InverseGamma("length_scale", 5.0, 5.0)
        amplitude = pm.HalfNormal("amplitude", 1.0)
        level = pm.Normal("level", 0.0, 2.0)
        process = pm.gp.Latent(cov_func=amplitude**2 * pm.gp.cov.Matern52(1, ls=length_scale))
        latent = process.prior("latent", X=x[:, None])
        pm.Poisson("counts", pm.math.exp(level + latent), observed=counts)
    return model


def arrays(points: int = POINTS) -> dict[str, np.ndarray]:
    """Make the data by their names: locations and counts."""
    rng = np.random.default_rng(SEED)
    x = np.sort(rng.uniform(0.0, 10.0, points))
    return {"x": x, "counts": rng.poisson(np.exp(1.0 + np.sin(x)))}
