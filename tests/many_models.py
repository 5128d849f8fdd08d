"""Models that the tests of many fits share, each compiled once a session."""

from functools import cache

import numpy as np
import pymc as pm

import nutmill


@cache
def schools():
    """Effects of schools, centred: chains choose their coordinates."""
    with pm.Model(coords={"school": list("ABCDE")}) as model:
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfNormal("tau", 5)
        theta = pm.Normal("theta", mu, tau, dims="school")
        pm.Normal("effect", theta, pm.Data("error", np.full(5, 10.0), dims="school"), observed=np.zeros(5))
    return nutmill.compile_model(model)


@cache
def line():
    """A line through points, of which there may be any number."""
    with pm.Model() as model:
        x = pm.Data("x", [0.0, 1.0, 2.0], dims="point")
        slope = pm.Normal("slope")
        fitted = pm.Deterministic("fitted", slope * x, dims="point")
        pm.Normal("y", fitted, 1, observed=pm.Data("y_data", [0.1, 1.2, 1.9]), shape=x.shape)
    return nutmill.compile_model(model)


def effects(count):
    """Data sets for `schools`."""
    rng = np.random.default_rng(3)
    return [{"effect": rng.normal(3, 10, 5), "error": rng.uniform(5, 15, 5)} for _ in range(count)]


def points(*lengths):
    """Data sets for `line`, each of its own length."""
    rng = np.random.default_rng(4)
    return [{"x": np.arange(n, dtype=float), "y_data": rng.normal(size=n)} for n in lengths]


def single(compiled, data, number, **options):
    """Sample one of many fits as users would on their own."""
    seed = nutmill.fit_seed(options.pop("random_seed"), number)
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    return nutmill.sample_numba(compiled.with_data(**data), random_seed=seed, **quiet, **options)
