"""Models without necks that any change of warmup is measured on, too: correlated, heavy-tailed, or quite easy."""

import numpy as np
import pymc as pm

SEED = 20261129


def dense_gaussian(n_dim: int) -> pm.Model:
    """Build a normal whose variances are 1e-2 to 1e2 along directions that no axis knows."""
    covariance = _covariance(n_dim, 2.0)
    with pm.Model() as model:
        pm.MvNormal("x", np.zeros(n_dim), tau=np.linalg.inv(covariance), shape=n_dim)
    return model


def dense_t(n_dim: int = 60, nu: float = 5.0) -> pm.Model:
    """Build a multivariate t whose scales are as mixed."""
    covariance = _covariance(n_dim, 1.5)
    with pm.Model() as model:
        x = pm.Flat("x", shape=n_dim)
        distance = pm.math.dot(x, pm.math.dot(np.linalg.inv(covariance), x))
        pm.Potential("t", -0.5 * (nu + n_dim) * pm.math.log(1.0 + distance / nu))
    return model


def _covariance(n_dim: int, decades: float) -> np.ndarray:
    turn = np.linalg.qr(np.random.default_rng([SEED, n_dim]).normal(size=(n_dim, n_dim)))[0]
    return (turn * np.logspace(-decades, decades, n_dim)) @ turn.T


def logistic(covariates: int = 80, rows: int = 400, correlation: float = 0.97) -> pm.Model:
    """Build a logistic regression whose covariates follow one another."""
    rng = np.random.default_rng([SEED, 7])
    x = rng.normal(size=(rows, covariates))
    for k in range(1, covariates):
        x[:, k] = correlation * x[:, k - 1] + np.sqrt(1.0 - correlation**2) * x[:, k]
    logits = x @ (rng.normal(size=covariates) * (rng.uniform(size=covariates) < 0.1))
    answers = (rng.uniform(size=rows) < 1.0 / (1.0 + np.exp(-logits))).astype(int)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0.0, 1.0, shape=covariates)
        pm.Bernoulli("yes", logit_p=pm.Normal("intercept", 0.0, 2.0) + pm.math.dot(x, slopes), observed=answers)
    return model


def irt(persons: int = 100, items: int = 20) -> pm.Model:
    """Build a two-parameter item response model, items centred."""
    rng = np.random.default_rng([SEED, 8])
    truth = np.exp(0.3 * rng.normal(size=items)) * (rng.normal(size=(persons, 1)) - rng.normal(size=items))
    answers = (rng.uniform(size=truth.shape) < 1.0 / (1.0 + np.exp(-truth))).astype(int)
    with pm.Model() as model:
        ability = pm.Normal("ability", 0.0, 1.0, shape=(persons, 1))
        sa, sb = pm.HalfCauchy("sa", 2.0), pm.HalfCauchy("sb", 2.0)
        slope = pm.LogNormal("slope", 0.0, sa, shape=items)
        difficulty = pm.Normal("difficulty", pm.Normal("mu", 0.0, 5.0), sb, shape=items)
        pm.Bernoulli("right", logit_p=slope * (ability - difficulty), observed=answers)
    return model


def independent(n_dim: int = 400) -> pm.Model:
    """Build independent normals of many scales."""
    with pm.Model() as model:
        pm.Normal("x", 0.0, np.logspace(-2, 2, n_dim), shape=n_dim)
    return model
