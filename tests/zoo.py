"""Small PyMC models, each with a different part of PyMC in it, for tests to compile."""

import functools

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from nutmill import CompiledModel, compile_model

RNG_SEED = 20261122


def transforms() -> pm.Model:
    """Give every transform of PyMC: log, interval, log-odds, simplex, ordered, circular, sum to zero."""
    transform = pm.distributions.transforms
    with pm.Model(coords={"level": ["low", "mid", "high"]}) as model:
        scale = pm.HalfNormal("scale", 1.0)
        bounded = pm.Uniform("bounded", -1.0, 3.0)
        share = pm.Beta("share", 2.0, 3.0)
        weights = pm.Dirichlet("weights", np.array([1.0, 2.0, 3.0]), dims="level")
        cuts = pm.Normal("cuts", 0.0, 1.0, shape=3, transform=transform.ordered, initval=[-1.0, 0.0, 1.0])
        effect = pm.ZeroSumNormal("effect", sigma=scale, dims="level")
        angle = pm.Normal("angle", 0.0, 2.0, transform=transform.circular)
        upper = pm.Normal("upper", 0.0, 1.0, transform=transform.Interval(None, 0.5), initval=0.0)
        lower = pm.Pareto("lower", 3.0, 1.5)
        pm.Potential("tie", -0.5 * (bounded - share) ** 2 + (weights * cuts).sum() + pt.cos(angle) * upper - lower)
        pm.Deterministic("largest", pt.argmax(effect))
        pm.Deterministic("is_positive", effect > 0, dims="level")
    return model


def covariance() -> pm.Model:
    """A multivariate normal whose covariance has an LKJ prior, and one with a Cholesky factor of data."""
    rng = np.random.default_rng(RNG_SEED)
    y = rng.normal(size=(12, 3))
    with pm.Model() as model:
        chol, _, _ = pm.LKJCholeskyCov("chol", n=3, eta=2.0, sd_dist=pm.Exponential.dist(1.0))
        mu = pm.MvNormal("mu", np.zeros(3), cov=np.diag([1.0, 2.0, 3.0]) + 0.3)
        pm.MvNormal("y", mu, chol=chol, observed=y)
    return model


def gaussian_process() -> pm.Model:
    """A marginal Gaussian process of ten points."""
    rng = np.random.default_rng(RNG_SEED)
    x = np.sort(rng.uniform(0.0, 5.0, 10))
    with pm.Model() as model:
        length_scale = pm.Gamma("length_scale", 2.0, 1.0)
        noise = pm.HalfNormal("noise", 1.0)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=length_scale))
        gp.marginal_likelihood("y", X=x[:, None], y=np.sin(x), sigma=noise)
    return model


def counts() -> pm.Model:
    """Poisson, negative binomial, Bernoulli, binomial and categorical observations."""
    rng = np.random.default_rng(RNG_SEED)
    x = rng.normal(size=20)
    with pm.Model() as model:
        a, b = pm.Normal("a", 0.0, 1.0), pm.StudentT("b", nu=4.0, mu=0.0, sigma=1.0)
        alpha = pm.Gamma("alpha", 2.0, 1.0)
        eta = a + b * x
        pm.Poisson("poisson", pt.exp(eta), observed=rng.poisson(2.0, 20))
        pm.NegativeBinomial("negative_binomial", mu=pt.exp(eta), alpha=alpha, observed=rng.poisson(2.0, 20))
        pm.Bernoulli("bernoulli", logit_p=eta, observed=rng.integers(0, 2, 20))
        pm.Binomial("binomial", n=rng.integers(5, 9, 20), p=pm.math.invlogit(eta), observed=rng.integers(0, 5, 20))
        p = pm.math.softmax(pt.stack([a, b, 0.0]))
        pm.Categorical("categorical", p=p, observed=rng.integers(0, 3, 20))
    return model


def mixture() -> pm.Model:
    """Mixtures, marginalised, and a zero-inflated count."""
    rng = np.random.default_rng(RNG_SEED)
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.ones(2))
        mu = pm.Normal("mu", 0.0, 3.0, shape=2)
        pm.NormalMixture("y", weights, mu, 1.0, observed=rng.normal(size=15))
        psi = pm.Beta("psi", 2.0, 2.0)
        pm.ZeroInflatedPoisson("z", psi, 3.0, observed=rng.poisson(3.0, 15) * rng.integers(0, 2, 15))
    return model


def cut_off() -> pm.Model:
    """Censored and truncated observations, and a single observed number."""
    rng = np.random.default_rng(RNG_SEED)
    with pm.Model() as model:
        mu, sigma = pm.Normal("mu", 0.0, 1.0), pm.HalfNormal("sigma", 1.0)
        pm.Censored(
            "censored",
            pm.Normal.dist(mu, sigma),
            lower=-1.0,
            upper=1.0,
            observed=np.clip(rng.normal(size=15), -1.0, 1.0),
        )
        pm.Truncated(
            "truncated",
            pm.Normal.dist(mu, sigma),
            lower=-2.0,
            upper=2.0,
            observed=np.clip(rng.normal(size=15), -1.9, 1.9),
        )
        pm.Normal("single", mu, sigma, observed=0.3)
    return model


def imputed() -> pm.Model:
    """Missing observations of a masked array, which become parameters."""
    rng = np.random.default_rng(RNG_SEED)
    y = np.ma.masked_invalid(np.where(np.arange(8) % 3 == 1, np.nan, rng.normal(size=8)))
    with pm.Model(coords={"row": np.arange(8)}) as model:
        mu, sigma = pm.Normal("mu", 0.0, 1.0), pm.HalfNormal("sigma", 1.0)
        with np.testing.suppress_warnings() as quiet:
            quiet.filter(pm.exceptions.ImputationWarning)
            pm.Normal("y", mu, sigma, observed=y, dims="row")
    return model


def scan() -> pm.Model:
    """A recursion in time, and a random walk."""
    rng = np.random.default_rng(RNG_SEED)
    y = rng.normal(size=12)
    with pm.Model() as model:
        rho = pm.Uniform("rho", -1.0, 1.0)
        level = pytensor.scan(
            lambda before, state, rho: rho * state + before,
            sequences=[pt.as_tensor(y[:-1])],
            outputs_info=[pt.constant(0.5, dtype="float64")],
            non_sequences=[rho],
            return_updates=False,
        )
        pm.Normal("y", pt.concatenate([[0.5], level]), 1.0, observed=y)
        pm.GaussianRandomWalk("walk", sigma=0.5, init_dist=pm.Normal.dist(0.0, 1.0), steps=4)
    return model


def regression() -> pm.Model:
    """A regression on mutable data with dimensions, by group."""
    rng = np.random.default_rng(RNG_SEED)
    coords = {"row": np.arange(10), "group": ["a", "b", "c"], "column": ["u", "v"]}
    with pm.Model(coords=coords) as model:
        x = pm.Data("x", rng.normal(size=(10, 2)), dims=("row", "column"))
        group = pm.Data("group_of_row", rng.integers(0, 3, 10), dims="row")
        level = pm.Normal("level", 0.0, 1.0, dims="group")
        beta = pm.Normal("beta", 0.0, 1.0, dims="column")
        sigma = pm.HalfNormal("sigma", 1.0)
        mu = pm.Deterministic("mu", level[group] + x @ beta, dims="row")
        pm.Normal("y", mu, sigma, observed=pm.Data("y_data", rng.normal(size=10), dims="row"), dims="row")
    return model


@functools.cache
def compiled(name: str, *, fuse: bool = True) -> CompiledModel:
    """Compile a model of this file, once a session."""
    return compile_model(globals()[name](), fuse=fuse)
