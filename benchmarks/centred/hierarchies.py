"""Nine hierarchies in their centred form, on data made by a seed: each has a neck that warmup can be fooled by."""

import numpy as np
import pymc as pm

from benchmarks.models.posteriordb import load_data

SEED = 20261129


def eight_schools_centred() -> pm.Model:
    """Build Rubin's eight schools as first written: 10 parameters."""
    data = load_data("eight_schools")
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfCauchy("tau", 5.0)
        theta = pm.Normal("theta", mu, tau, shape=int(data["J"]))
        pm.Normal("y", theta, data["sigma"], observed=data["y"])
    return model


def funnel() -> pm.Model:
    """Build Neal's funnel: the logarithm of a variance, and nine values of it."""
    with pm.Model() as model:
        v = pm.Normal("v", 0.0, 3.0)
        pm.Normal("x", 0.0, pm.math.exp(0.5 * v), shape=9)
    return model


def radon_centred(rows: int = 919, counties: int = 85) -> pm.Model:
    """Build a regression whose intercepts by county follow a covariate of the county."""
    rng = np.random.default_rng(SEED)
    # Most counties have few houses, and a few have many.
    county = np.searchsorted(np.cumsum(rng.dirichlet(np.full(counties, 0.8))), rng.uniform(size=rows))
    county = np.minimum(county, counties - 1)
    uranium, floor = rng.normal(0.0, 0.4, counties), (rng.uniform(size=rows) < 0.17).astype(float)
    level = 1.4 + 0.7 * uranium + 0.15 * rng.normal(size=counties)
    log_radon = level[county] - 0.65 * floor + 0.75 * rng.normal(size=rows)
    with pm.Model() as model:
        slope, floor_effect = pm.Normal("slope", 0.0, 1.0), pm.Normal("floor_effect", 0.0, 1.0)
        mu, spread = pm.Normal("mu", 0.0, 2.0), pm.HalfNormal("spread", 1.0)
        alpha = pm.Normal("alpha", mu + slope * uranium, spread, shape=counties)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("log_radon", alpha[county] + floor_effect * floor, sigma, observed=log_radon)
    return model


def crossed(rows: int = 600, persons: int = 60, items: int = 40) -> pm.Model:
    """Build two crossed sets of effects, one of which varies little."""
    rng = np.random.default_rng([SEED, 1])
    person, item = rng.integers(0, persons, rows), rng.integers(0, items, rows)
    values = 0.8 * rng.normal(size=persons)[person] + 0.12 * rng.normal(size=items)[item] + rng.normal(size=rows)
    with pm.Model() as model:
        intercept = pm.Normal("intercept", 0.0, 1.0)
        sa, sb = pm.HalfNormal("sa", 1.0), pm.HalfNormal("sb", 1.0)
        a, b = pm.Normal("a", 0.0, sa, shape=persons), pm.Normal("b", 0.0, sb, shape=items)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", intercept + a[person] + b[item], sigma, observed=values)
    return model


def variance_at_zero(groups: int = 30, per_group: int = 10) -> pm.Model:
    """Build a hierarchy whose groups do not differ: the standard deviation has its mode at zero."""
    group = np.repeat(np.arange(groups), per_group)
    values = np.random.default_rng([SEED, 2]).normal(size=groups * per_group)
    with pm.Model() as model:
        mu, spread = pm.Normal("mu", 0.0, 1.0), pm.HalfNormal("spread", 1.0)
        u = pm.Normal("u", 0.0, spread, shape=groups)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", mu + u[group], sigma, observed=values)
    return model


def horseshoe_centred(rows: int = 60, covariates: int = 20) -> pm.Model:
    """Build a regression with sparse effects: a scale for each, under one for all."""
    rng = np.random.default_rng([SEED, 3])
    x = rng.normal(size=(rows, covariates))
    values = x[:, :3] @ np.array([2.0, -1.5, 1.0]) + rng.normal(size=rows)
    with pm.Model() as model:
        overall, local = pm.HalfNormal("overall", 0.3), pm.HalfStudentT("local", 3, shape=covariates)
        effect = pm.Normal("effect", 0.0, overall * local, shape=covariates)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.Normal("y", pm.math.dot(x, effect), sigma, observed=values)
    return model


def binomial(hospitals: int = 12) -> pm.Model:
    """Build death rates of hospitals, normal on the logit."""
    rng = np.random.default_rng([SEED, 4])
    n = rng.integers(40, 800, hospitals)
    deaths = rng.binomial(n, 1.0 / (1.0 + np.exp(2.55 - 0.4 * rng.normal(size=hospitals))))
    with pm.Model() as model:
        mu, spread = pm.Normal("mu", 0.0, 10.0), pm.HalfNormal("spread", 1.0)
        logit = pm.Normal("logit", mu, spread, shape=hospitals)
        pm.Binomial("deaths", n, logit_p=logit, observed=deaths)
    return model


def over_dispersed(plates: int = 21) -> pm.Model:
    """Build germination of seeds on plates: two factors crossed, an effect a plate with a Gamma precision."""
    rng = np.random.default_rng([SEED, 5])
    seed, extract = rng.integers(0, 2, plates), rng.integers(0, 2, plates)
    n = rng.integers(4, 80, plates)
    truth = -0.55 + 0.1 * seed + 1.3 * extract - 0.8 * seed * extract + 0.28 * rng.normal(size=plates)
    germinated = rng.binomial(n, 1.0 / (1.0 + np.exp(-truth)))
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0.0, 10.0, shape=4)
        precision = pm.Gamma("precision", 0.001, 0.001)
        effect = pm.Normal("effect", 0.0, 1.0 / pm.math.sqrt(precision), shape=plates)
        logit = slopes[0] + slopes[1] * seed + slopes[2] * extract + slopes[3] * seed * extract + effect
        pm.Binomial("germinated", n, logit_p=logit, observed=germinated)
    return model


def multilevel_logistic(rows: int = 600) -> pm.Model:
    """Build a logistic regression with three crossed factors, of few and of many levels, under uniform scales."""
    rng = np.random.default_rng([SEED, 6])
    sizes, sds = {"age": 4, "schooling": 4, "state": 30}, {"age": 0.2, "schooling": 0.1, "state": 0.5}
    index = {name: rng.integers(0, size, rows) for name, size in sizes.items()}
    woman = rng.integers(0, 2, rows)
    truth = 0.3 - 0.1 * woman + sum((sds[name] * rng.normal(size=size))[index[name]] for name, size in sizes.items())
    answers = (rng.uniform(size=rows) < 1.0 / (1.0 + np.exp(-truth))).astype(int)
    with pm.Model() as model:
        logit = pm.Normal("intercept", 0.0, 10.0) + pm.Normal("slope", 0.0, 10.0) * woman
        for name, size in sizes.items():
            effect = pm.Normal(name, 0.0, pm.Uniform(f"{name}_sd", 0.0, 100.0), shape=size)
            logit = logit + effect[index[name]]
        pm.Bernoulli("yes", logit_p=logit, observed=answers)
    return model
