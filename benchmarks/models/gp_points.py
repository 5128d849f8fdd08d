"""A Gaussian process at eleven points, under normal values and under counts: posteriordb's `gp_pois_regr`."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from benchmarks.models.posteriordb import load_data


def values() -> pm.Model:
    """Build the model of `gp_regr.stan`: 3 parameters, the process integrated out; `sigma` is a variance."""
    data = load_data("gp_pois_regr")
    with pm.Model() as model:
        rho, alpha = pm.Gamma("rho", 25.0, 4.0), pm.HalfNormal("alpha", 2.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        covariance = _covariance(data["x"], rho, alpha) + sigma * np.eye(data["x"].size)
        pm.MvNormal("y", np.zeros(data["x"].size), cov=covariance, observed=data["y"])
    return model


def counts() -> pm.Model:
    """Build the model of `gp_pois_regr.stan`: 13 parameters, the process as a factor times white noise."""
    data = load_data("gp_pois_regr")
    n = data["x"].size
    with pm.Model() as model:
        rho, alpha = pm.Gamma("rho", 25.0, 4.0), pm.HalfNormal("alpha", 2.0)
        f_tilde = pm.Normal("f_tilde", 0.0, 1.0, shape=n)
        factor = pt.linalg.cholesky(_covariance(data["x"], rho, alpha) + 1e-10 * np.eye(n))
        f = pm.Deterministic("f", factor @ f_tilde)
        pm.Poisson("k", pt.exp(f), observed=data["k"])
    return model


def _covariance(x: np.ndarray, length, amplitude) -> pt.TensorVariable:
    squares = (x[:, None] - x).astype(float) ** 2
    return amplitude**2 * pt.exp(-0.5 * squares / length**2)
