"""Six posted kinds of models that are no plain hierarchies: survival, processes, maps, sparsity, mixtures."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

SEED = 20261130


def frailty(hospitals: int = 25, rows: int = 400) -> pm.Model:
    """Build Weibull survival with a frailty of each hospital; times beyond 6 are not seen."""
    rng = np.random.default_rng([SEED, 10])
    hospital, treated = rng.integers(0, hospitals, rows), rng.integers(0, 2, rows)
    scale = np.exp(1.2 + 0.4 * rng.normal(size=hospitals)[hospital] + 0.5 * treated)
    times = scale * rng.weibull(1.4, rows)
    is_seen, times = times < 6.0, np.minimum(times, 6.0)
    with pm.Model() as model:
        shape, intercept = pm.HalfNormal("shape", 2.0), pm.Normal("intercept", 0.0, 2.0)
        effect, spread = pm.Normal("effect", 0.0, 1.0), pm.HalfNormal("spread", 1.0)
        log_frailty = pm.Normal("log_frailty", 0.0, spread, shape=hospitals)
        beta = pm.math.exp(intercept + effect * treated + log_frailty[hospital])
        pm.Weibull("t", shape, beta[is_seen], observed=times[is_seen])
        pm.Potential("later", -pt.sum((times[~is_seen] / beta[~is_seen]) ** shape))
    return model


def basis_process(rows: int = 150) -> pm.Model:
    """Build Poisson counts whose logarithm is a Gaussian process, by Hilbert space basis functions."""
    rng = np.random.default_rng([SEED, 11])
    x = np.sort(rng.uniform(0.0, 10.0, rows))
    counts = rng.poisson(np.exp(1.0 + 0.8 * np.sin(x) + 0.4 * np.cos(0.5 * x)))
    with pm.Model() as model:
        intercept, eta = pm.Normal("intercept", 0.0, 2.0), pm.Exponential("eta", 1.0)
        length = pm.InverseGamma("length", 5.0, 6.0)
        process = pm.gp.HSGP(m=[25], c=1.5, cov_func=eta**2 * pm.gp.cov.Matern52(1, ls=length))
        f = process.prior("f", X=x[:, None])
        pm.Poisson("n", pm.math.exp(intercept + f), observed=counts)
    return model


def disease_map(side: int = 7) -> pm.Model:
    """Build Besag, York and Mollie's map in Riebler's form: structured and unstructured parts share a scale."""
    rng = np.random.default_rng([SEED, 12])
    places = np.stack(np.meshgrid(range(side), range(side)), axis=-1).reshape(-1, 2)
    near = (np.abs(places[:, None] - places).sum(axis=2) == 1).astype(int)
    smooth = np.sin(places[:, 0] / 2.0) + 0.3 * rng.normal(size=side**2)
    expected = rng.gamma(3.0, 4.0, side**2)
    counts = rng.poisson(expected * np.exp(0.4 * smooth))
    with pm.Model() as model:
        intercept, sigma, rho = pm.Normal("intercept", 0.0, 1.0), pm.HalfNormal("sigma", 1.0), pm.Beta("rho", 0.5, 0.5)
        phi, theta = pm.ICAR("phi", W=near), pm.Normal("theta", 0.0, 1.0, shape=side**2)
        mixed = sigma * (pt.sqrt(rho / 0.6) * phi + pt.sqrt(1.0 - rho) * theta)
        pm.Poisson("n", expected * pm.math.exp(intercept + mixed), observed=counts)
    return model


def sparse_regression(rows: int = 80, columns: int = 60) -> pm.Model:
    """Build a regression with the regularised horseshoe; five of its coefficients are not zero."""
    rng = np.random.default_rng([SEED, 13])
    x, beta = rng.normal(size=(rows, columns)), np.zeros(columns)
    beta[:5] = 2.0, -1.5, 1.0, 0.8, -0.6
    values = x @ beta + rng.normal(size=rows)
    with pm.Model() as model:
        sigma = pm.HalfNormal("sigma", 2.0)
        tau = pm.HalfStudentT("tau", nu=2, sigma=5.0 / (columns - 5.0) / np.sqrt(rows))
        lam = pm.HalfStudentT("lam", nu=5, shape=columns)
        c2 = pm.InverseGamma("c2", 1.0, 1.0)
        z = pm.Normal("z", 0.0, 1.0, shape=columns)
        spread = tau * lam * pt.sqrt(c2 / (c2 + tau**2 * lam**2))
        pm.Normal("y", pt.dot(x, pm.Deterministic("beta", z * spread)), sigma, observed=values)
    return model


def mixture(rows: int = 300) -> pm.Model:
    """Build a mixture of three normals with ordered means."""
    rng = np.random.default_rng([SEED, 14])
    part = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    values = rng.normal(np.array([-2.0, 0.5, 3.5])[part], np.array([0.7, 0.8, 1.0])[part])
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.ones(3))
        means = pm.Normal(
            "means", 0.0, 4.0, shape=3, transform=pm.distributions.transforms.ordered, initval=[-1.0, 0.0, 1.0]
        )
        pm.NormalMixture("y", weights, means, sigma=pm.HalfNormal("sigma", 2.0, shape=3), observed=values)
    return model


def state_space(steps: int = 150) -> pm.Model:
    """Build a level that walks, seen with noise whose logarithm is an autoregression, both as PyMC's own processes."""
    rng = np.random.default_rng([SEED, 15])
    level = np.cumsum(0.2 * rng.normal(size=steps))
    volatility = np.zeros(steps)
    for t in range(1, steps):
        volatility[t] = 0.9 * volatility[t - 1] + 0.3 * rng.normal()
    values = level + 0.5 * np.exp(0.5 * volatility) * rng.normal(size=steps)
    with pm.Model() as model:
        s_level, s_noise = pm.HalfNormal("s_level", 0.5), pm.HalfNormal("s_noise", 1.0)
        walk = pm.GaussianRandomWalk("walk", mu=0.0, sigma=s_level, init_dist=pm.Normal.dist(0.0, 1.0), steps=steps - 1)
        rho, s_volatility = pm.Beta("rho", 9.0, 1.5), pm.HalfNormal("s_volatility", 0.5)
        h = pm.AR("h", rho=rho, sigma=s_volatility, init_dist=pm.Normal.dist(0.0, 1.0), steps=steps - 1)
        pm.Normal("y", walk, s_noise * pm.math.exp(0.5 * h), observed=values)
    return model
