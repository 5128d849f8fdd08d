"""A mixture of two normals with ordered means: posteriordb's `low_dim_gauss_mix-low_dim_gauss_mix`."""

import pymc as pm
import pytensor.tensor as pt

from benchmarks.models.posteriordb import load_data


def build() -> pm.Model:
    """Build the model of `low_dim_gauss_mix.stan`: 5 parameters, 1000 observations."""
    data = load_data("low_dim_gauss_mix")
    ordered = pm.distributions.transforms.ordered
    with pm.Model() as model:
        # The ordering of equal means is degenerate, so the start must be apart.
        mu = pm.Normal("mu", 0.0, 2.0, shape=2, transform=ordered, initval=[-1.0, 1.0])
        sigma = pm.HalfNormal("sigma", 2.0, shape=2)
        theta = pm.Beta("theta", 5.0, 5.0)
        weights = pt.stack([theta, 1.0 - theta])
        pm.NormalMixture("y", w=weights, mu=mu, sigma=sigma, observed=data["y"])
    return model
