"""Six posted kinds of hierarchies, on data made by a seed, written as their authors write them."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

SEED = 20261130


def schools_in_districts(schools: int = 60, districts: int = 8, rows: int = 1500) -> pm.Model:
    """Build three levels, centred: pupils in schools in districts."""
    rng = np.random.default_rng([SEED, 0])
    district = rng.integers(0, districts, schools)
    school = rng.choice(schools, rows, p=rng.dirichlet(np.full(schools, 1.0)))
    levels = 0.4 * rng.normal(size=districts)
    means = levels[district] + 0.3 * rng.normal(size=schools)
    hours = rng.gamma(2.0, 1.0, rows)
    values = 5.0 + means[school] + 0.2 * hours + rng.normal(size=rows)
    with pm.Model(coords={"district": range(districts), "school": range(schools)}) as model:
        mu = pm.Normal("mu", 0.0, 10.0)
        s_district, s_school = pm.HalfNormal("s_district", 1.0), pm.HalfNormal("s_school", 1.0)
        by_district = pm.Normal("by_district", mu, s_district, dims="district")
        by_school = pm.Normal("by_school", by_district[district], s_school, dims="school")
        slope, sigma = pm.Normal("slope", 0.0, 1.0), pm.HalfNormal("sigma", 2.0)
        pm.Normal("score", by_school[school] + slope * hours, sigma, observed=values)
    return model


def item_response(persons: int = 80, items: int = 15) -> pm.Model:
    """Build two parameters an item, both with priors of their own scale: discriminations on the logarithm."""
    rng = np.random.default_rng([SEED, 1])
    ability, difficulty = rng.normal(size=persons), 1.2 * rng.normal(size=items)
    slope = np.exp(0.3 * rng.normal(size=items))
    odds = slope * (ability[:, None] - difficulty)
    answers = rng.uniform(size=odds.shape) < 1.0 / (1.0 + np.exp(-odds))
    with pm.Model() as model:
        s_difficulty, s_slope = pm.HalfNormal("s_difficulty", 1.5), pm.HalfNormal("s_slope", 0.5)
        theta = pm.Normal("theta", 0.0, 1.0, shape=persons)
        b = pm.Normal("b", 0.0, s_difficulty, shape=items)
        a = pm.LogNormal("a", 0.0, s_slope, shape=items)
        pm.Bernoulli("answer", logit_p=a * (theta[:, None] - b), observed=answers.astype(int))
    return model


def zero_inflated_counts(groups: int = 30, rows: int = 600) -> pm.Model:
    """Build zero-inflated negative binomial counts with effects of groups on the logarithm of the mean."""
    rng = np.random.default_rng([SEED, 2])
    group, x = rng.integers(0, groups, rows), rng.normal(size=rows)
    mean = np.exp(0.8 + 0.5 * rng.normal(size=groups)[group] + 0.3 * x)
    counts = rng.negative_binomial(2.0, 2.0 / (2.0 + mean)) * (rng.uniform(size=rows) < 0.7)
    with pm.Model() as model:
        intercept, slope = pm.Normal("intercept", 0.0, 2.0), pm.Normal("slope", 0.0, 1.0)
        spread = pm.HalfCauchy("spread", 1.0)
        effect = pm.Normal("effect", 0.0, spread, shape=groups)
        psi, alpha = pm.Beta("psi", 1.0, 1.0), pm.Exponential("alpha", 0.5)
        mu = pm.math.exp(intercept + effect[group] + slope * x)
        pm.ZeroInflatedNegativeBinomial("n", psi=psi, mu=mu, alpha=alpha, observed=counts)
    return model


def ordered_answers(persons: int = 40, rows: int = 500, steps: int = 5) -> pm.Model:
    """Build an ordered logistic regression with effects of persons."""
    rng = np.random.default_rng([SEED, 3])
    person, x = rng.integers(0, persons, rows), rng.normal(size=rows)
    latent = 0.9 * rng.normal(size=persons)[person] + 0.6 * x + rng.logistic(size=rows)
    answers = np.searchsorted(np.array([-2.0, -0.7, 0.7, 2.0]), latent)
    with pm.Model() as model:
        spread = pm.Exponential("spread", 1.0)
        z = pm.Normal("z", 0.0, 1.0, shape=persons)
        slope = pm.Normal("slope", 0.0, 1.0)
        cuts = pm.Normal(
            "cuts",
            0.0,
            3.0,
            shape=steps - 1,
            transform=pm.distributions.transforms.ordered,
            initval=np.linspace(-2.0, 2.0, steps - 1),
        )
        pm.OrderedLogistic("answer", eta=z[person] * spread + slope * x, cutpoints=cuts, observed=answers)
    return model


def varying_slopes(groups: int = 25, rows: int = 500) -> pm.Model:
    """Build intercepts and two slopes by group that vary together, by an LKJ prior."""
    rng = np.random.default_rng([SEED, 4])
    group, x = rng.integers(0, groups, rows), rng.normal(size=(rows, 2))
    mixing = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [-0.2, 0.1, 0.2]])
    effects = np.array([1.0, 0.5, -0.3]) + rng.normal(size=(groups, 3)) @ mixing.T
    values = effects[group, 0] + (effects[group, 1:] * x).sum(axis=1) + rng.normal(size=rows)
    with pm.Model() as model:
        chol, _, _ = pm.LKJCholeskyCov("chol", n=3, eta=2.0, sd_dist=pm.Exponential.dist(1.0, shape=3))
        mu = pm.Normal("mu", 0.0, 2.0, shape=3)
        z = pm.Normal("z", 0.0, 1.0, shape=(groups, 3))
        each = mu + pt.dot(z, chol.T)
        sigma = pm.Exponential("sigma", 1.0)
        mean = each[group, 0] + each[group, 1] * x[:, 0] + each[group, 2] * x[:, 1]
        pm.Normal("y", mean, sigma, observed=values)
    return model


def missing_covariates(groups: int = 12, rows: int = 250) -> pm.Model:
    """Build a regression by groups, one covariate of which lacks a fifth of its values."""
    rng = np.random.default_rng([SEED, 5])
    group = rng.integers(0, groups, rows)
    age = rng.normal(2.0, 0.7, rows)
    values = 0.5 * rng.normal(size=groups)[group] + 0.8 * age + 0.7 * rng.normal(size=rows)
    gap = rng.uniform(size=rows) < 0.2
    with pm.Model() as model:
        mean, width = pm.Normal("age_mean", 0.0, 5.0), pm.HalfNormal("age_width", 2.0)
        pm.Normal("age", mean, width, observed=age[~gap])
        lacking = pm.Normal("lacking", mean, width, shape=int(gap.sum()))
        whole = pt.set_subtensor(pt.as_tensor(np.where(gap, 0.0, age))[np.flatnonzero(gap)], lacking)
        intercept, slope = pm.Normal("intercept", 0.0, 5.0), pm.Normal("slope", 0.0, 2.0)
        spread, sigma = pm.HalfNormal("spread", 1.0), pm.HalfNormal("sigma", 1.0)
        effect = pm.Normal("effect", 0.0, spread, shape=groups)
        pm.Normal("y", intercept + effect[group] + slope * whole, sigma, observed=values)
    return model
