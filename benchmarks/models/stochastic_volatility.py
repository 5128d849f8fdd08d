"""Stochastic volatility of daily returns, a random walk of log volatilities, on data made by a seed."""

import numpy as np
import pymc as pm

DAYS, SEED = 500, 20261128


def build(days: int = DAYS) -> pm.Model:
    """Build the model of PyMC's gallery, steps in their non-centred form: a parameter for each day and two more."""
    (returns,) = arrays(days).values()
    with pm.Model(coords={"day": np.arange(days)}) as model:
        step_size = pm.Exponential("step_size", 10.0)
        degrees = pm.Exponential("degrees", 0.1)
        step = pm.Normal("step", 0.0, 1.0, dims="day")
        volatility = pm.Deterministic("volatility", pm.math.exp(-4.0 + (step_size * step).cumsum()), dims="day")
        pm.StudentT("returns", nu=degrees + 1.0, sigma=volatility, observed=returns)
    return model


def arrays(days: int = DAYS) -> dict[str, np.ndarray]:
    """Make the data by their name: returns."""
    rng = np.random.default_rng(SEED)
    log_volatility = -4.0 + np.cumsum(0.1 * rng.normal(size=days))
    return {"returns": np.exp(log_volatility) * rng.standard_t(10.0, size=days)}
