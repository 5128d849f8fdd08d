"""A standard normal in ten dimensions: the smallest model, sampled to fill the caches of an installation."""

import pymc as pm


def build() -> pm.Model:
    """Build the model: 10 parameters, no data."""
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0, shape=10)
    return model
