"""Polls of 50 states over 20 weeks: support walks from week to week in each state, and pollsters lean."""

import numpy as np
import pymc as pm

STATES, WEEKS, POLLSTERS, POLLS, SEED = 50, 20, 12, 700, 20261210


def build() -> pm.Model:
    """Build the model: a random walk for the country, one for each state under it; 1085 parameters."""
    state, week, pollster, n, support = arrays().values()
    coords = {"state": np.arange(STATES), "week": np.arange(WEEKS), "pollster": np.arange(POLLSTERS)}
    with pm.Model(coords=coords) as model:
        country_sd, state_sd = pm.HalfNormal("country_sd", 0.1), pm.HalfNormal("state_sd", 0.1)
        country = pm.Normal("country_step", 0.0, 1.0, dims="week").cumsum() * country_sd
        level = pm.Normal("level", 0.0, pm.HalfNormal("level_sd", 0.5), dims="state")
        walk = pm.Normal("state_step", 0.0, 1.0, dims=("state", "week")).cumsum(1) * state_sd
        lean = pm.ZeroSumNormal("lean", pm.HalfNormal("lean_sd", 0.1), dims="pollster")
        logit = level[state] + country[week] + walk[state, week] + lean[pollster]
        pm.Binomial("support", n, logit_p=logit, observed=support)
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: for each poll its state, week, pollster, size, and how many support."""
    rng = np.random.default_rng(SEED)
    state, week, pollster = (rng.integers(0, count, POLLS) for count in (STATES, WEEKS, POLLSTERS))
    country = np.cumsum(0.05 * rng.normal(size=WEEKS))
    walks = np.cumsum(0.05 * rng.normal(size=(STATES, WEEKS)), axis=1) + 0.4 * rng.normal(size=(STATES, 1))
    logit = country[week] + walks[state, week] + (0.08 * rng.normal(size=POLLSTERS))[pollster]
    n = rng.integers(300, 1500, POLLS)
    return {
        "state": state,
        "week": week,
        "pollster": pollster,
        "n": n,
        "support": rng.binomial(n, 1.0 / (1.0 + np.exp(-logit))),
    }
