"""Small models of many kinds in PyMC, and how nature draws parameters and data for each, in NumPy."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pymc as pm


class Experiment(NamedTuple):
    """A model whose observed variables stand for data, and what draws a truth and its data.

    Attributes
    ----------
    model : callable
        () -> the model.
    simulate : callable
        (random generator) -> all free variables by name, observed variables by name.
    """

    model: Callable[[], pm.Model]
    simulate: Callable[[np.random.Generator], tuple[dict, dict]]


ERRORS = np.array([0.5, 1.0, 0.8, 1.5, 0.3, 2.0, 1.0, 0.7])
COUNTIES = np.repeat(np.arange(6), [1, 2, 3, 4, 6, 8])
FLOOR = np.tile([0.0, 1.0], 12)
X = np.linspace(-1.5, 1.5, 30)
DESIGN = np.random.default_rng(20261129).normal(size=(30, 3))
CATEGORIES, TRIALS, STEPS = 4, 12, 24
TIMES = np.linspace(0.0, 3.0, 10)


def _schools(is_centred: bool) -> pm.Model:
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, 1.0), pm.HalfCauchy("tau", 0.5)
        theta = pm.Normal("theta", mu, tau, shape=8) if is_centred else mu + tau * pm.Normal("z", 0.0, 1.0, shape=8)
        pm.Normal("y", theta, ERRORS, observed=np.zeros(8))
    return model


def _simulate_schools(rng, is_centred):
    mu, tau, z = rng.normal(), 0.5 * abs(rng.standard_cauchy()), rng.normal(size=8)
    theta = mu + tau * z
    effects = {"theta": theta} if is_centred else {"z": z}
    return {"mu": mu, "tau": tau, **effects}, {"y": theta + ERRORS * rng.normal(size=8)}


def _counties() -> pm.Model:
    with pm.Model() as model:
        level = pm.Normal("level", pm.Normal("mean", 0.0, 1.0), pm.HalfNormal("spread", 1.0), shape=6)
        slope, sigma = pm.Normal("slope", 0.0, 1.0), pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", level[COUNTIES] + slope * FLOOR, sigma, observed=np.zeros(24))
    return model


def _simulate_counties(rng):
    mean, spread, slope, sigma = rng.normal(), abs(rng.normal()), rng.normal(), abs(rng.normal())
    level = mean + spread * rng.normal(size=6)
    y = level[COUNTIES] + slope * FLOOR + sigma * rng.normal(size=24)
    return {"mean": mean, "spread": spread, "level": level, "slope": slope, "sigma": sigma}, {"y": y}


def _logistic() -> pm.Model:
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 1.5, shape=3)
        pm.Bernoulli("y", logit_p=pm.math.dot(DESIGN, beta), observed=np.zeros(30, dtype=int))
    return model


def _simulate_logistic(rng):
    beta = 1.5 * rng.normal(size=3)
    return {"beta": beta}, {"y": rng.binomial(1, 1.0 / (1.0 + np.exp(-DESIGN @ beta)))}


def _negative_binomial() -> pm.Model:
    with pm.Model() as model:
        intercept, slope = pm.Normal("intercept", 1.0, 1.0), pm.Normal("slope", 0.0, 0.5)
        alpha = pm.Gamma("alpha", 2.0, 0.5)
        pm.NegativeBinomial("y", mu=pm.math.exp(intercept + slope * X), alpha=alpha, observed=np.zeros(30, dtype=int))
    return model


def _simulate_negative_binomial(rng):
    intercept, slope, alpha = rng.normal(1.0, 1.0), rng.normal(0.0, 0.5), rng.gamma(2.0, 2.0)
    rate = rng.gamma(alpha, np.exp(intercept + slope * X) / alpha)
    return {"intercept": intercept, "slope": slope, "alpha": alpha}, {"y": rng.poisson(rate)}


def _autoregression() -> pm.Model:
    with pm.Model() as model:
        level, rho, sigma = pm.Normal("level", 0.0, 1.0), pm.Uniform("rho", -1.0, 1.0), pm.HalfNormal("sigma", 1.0)
        start = pm.Normal.dist(0.0, 1.0)
        pm.AR("y", rho=[level, rho], constant=True, sigma=sigma, init_dist=start, observed=np.zeros(STEPS + 1))
    return model


def _simulate_autoregression(rng):
    level, rho, sigma, y = rng.normal(), rng.uniform(-1.0, 1.0), abs(rng.normal()), [rng.normal()]
    for _ in range(STEPS):
        y.append(level + rho * y[-1] + sigma * rng.normal())
    return {"level": level, "rho": rho, "sigma": sigma}, {"y": np.array(y)}


def _ordinal() -> pm.Model:
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 1.0)
        cuts = pm.Normal(
            "cuts",
            0.0,
            2.0,
            shape=CATEGORIES - 1,
            transform=pm.distributions.transforms.ordered,
            initval=np.arange(CATEGORIES - 1.0),
        )
        pm.OrderedLogistic("y", eta=beta * X, cutpoints=cuts, observed=np.zeros(30, dtype=int))
    return model


def _simulate_ordinal(rng):
    beta, cuts = rng.normal(), np.sort(2.0 * rng.normal(size=CATEGORIES - 1))
    latent = beta * X + rng.logistic(size=30)
    return {"beta": beta, "cuts": cuts}, {"y": (latent[:, None] > cuts).sum(axis=1)}


def _beta_binomial() -> pm.Model:
    with pm.Model() as model:
        alpha, beta = pm.Gamma("alpha", 2.0, 1.0), pm.Gamma("beta", 2.0, 0.5)
        pm.BetaBinomial("y", alpha=alpha, beta=beta, n=TRIALS, observed=np.zeros(15, dtype=int))
    return model


def _simulate_beta_binomial(rng):
    alpha, beta = rng.gamma(2.0, 1.0), rng.gamma(2.0, 2.0)
    return {"alpha": alpha, "beta": beta}, {"y": rng.binomial(TRIALS, rng.beta(alpha, beta, size=15))}


def _mixture() -> pm.Model:
    with pm.Model() as model:
        share = pm.Beta("share", 5.0, 5.0)
        means = pm.Normal(
            "means", 0.0, 2.0, shape=2, transform=pm.distributions.transforms.ordered, initval=[-1.0, 1.0]
        )
        weights = pm.math.stack([share, 1.0 - share])
        pm.NormalMixture("y", w=weights, mu=means, sigma=1.0, observed=np.zeros(25))
    return model


def _simulate_mixture(rng):
    share, means = rng.beta(5.0, 5.0), np.sort(2.0 * rng.normal(size=2))
    return {"share": share, "means": means}, {
        "y": means[(rng.uniform(size=25) > share).astype(int)] + rng.normal(size=25)
    }


def _gaussian_process() -> pm.Model:
    with pm.Model() as model:
        length, eta, sigma = pm.Gamma("length", 5.0, 5.0), pm.HalfNormal("eta", 1.0), pm.HalfNormal("sigma", 0.5)
        process = pm.gp.Marginal(cov_func=eta**2 * pm.gp.cov.ExpQuad(1, ls=length))
        process.marginal_likelihood("y", X=TIMES[:, None], y=np.zeros(10), sigma=sigma)
    return model


def _simulate_gaussian_process(rng):
    length, eta, sigma = rng.gamma(5.0, 0.2), abs(rng.normal()), 0.5 * abs(rng.normal())
    away = (TIMES[:, None] - TIMES) / length
    values, vectors = np.linalg.eigh(eta**2 * np.exp(-0.5 * away**2))
    y = vectors @ (np.sqrt(np.maximum(values, 0.0)) * rng.normal(size=10)) + sigma * rng.normal(size=10)
    return {"length": length, "eta": eta, "sigma": sigma}, {"y": y}


def _gamma_regression() -> pm.Model:
    with pm.Model() as model:
        intercept, slope = pm.Normal("intercept", 0.0, 1.0), pm.Normal("slope", 0.0, 1.0)
        shape = pm.Gamma("shape", 2.0, 0.5)
        pm.Gamma("y", alpha=shape, beta=shape / pm.math.exp(intercept + slope * X), observed=np.ones(30))
    return model


def _simulate_gamma_regression(rng):
    intercept, slope, shape = rng.normal(), rng.normal(), rng.gamma(2.0, 2.0)
    y = rng.gamma(shape, np.exp(intercept + slope * X) / shape)
    return {"intercept": intercept, "slope": slope, "shape": shape}, {"y": np.maximum(y, 1e-300)}


EXPERIMENTS = {
    "schools_centred": Experiment(lambda: _schools(True), lambda rng: _simulate_schools(rng, True)),
    "schools": Experiment(lambda: _schools(False), lambda rng: _simulate_schools(rng, False)),
    "counties": Experiment(_counties, _simulate_counties),
    "logistic": Experiment(_logistic, _simulate_logistic),
    "negative_binomial": Experiment(_negative_binomial, _simulate_negative_binomial),
    "autoregression": Experiment(_autoregression, _simulate_autoregression),
    "ordinal": Experiment(_ordinal, _simulate_ordinal),
    "beta_binomial": Experiment(_beta_binomial, _simulate_beta_binomial),
    "mixture": Experiment(_mixture, _simulate_mixture),
    "gaussian_process": Experiment(_gaussian_process, _simulate_gaussian_process),
    "gamma_regression": Experiment(_gamma_regression, _simulate_gamma_regression),
}
