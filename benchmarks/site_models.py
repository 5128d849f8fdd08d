"""Models of each kind of site that nutmill knows, on data made by a seed, and those of the suite that have sites."""

from collections.abc import Callable

import numpy as np
import pymc as pm

from benchmarks.centred.hierarchies import eight_schools_centred, radon_centred
from benchmarks.models import eight_schools, group_slopes, many_groups

SEED = 20261130


def random_walk(n: int = 200) -> pm.Model:
    """Build counts over a walk that is written as `GaussianRandomWalk`."""
    with pm.Model() as model:
        first, step = pm.Normal.dist(0.0, 1.0), pm.HalfNormal("step", 0.3)
        level = pm.GaussianRandomWalk("level", sigma=step, init_dist=first, shape=n)
        pm.Poisson("counts", pm.math.exp(level), observed=_counts(n))
    return model


def written_walk(n: int = 200) -> pm.Model:
    """Build counts over a walk that is written as a sum of scaled steps."""
    with pm.Model() as model:
        step, z = pm.HalfNormal("step", 0.3), pm.Normal("z", 0.0, 1.0, shape=n)
        level = pm.Deterministic("level", pm.math.cumsum(step * z))
        pm.Poisson("counts", pm.math.exp(level), observed=_counts(n))
    return model


def autoregression(n: int = 200) -> pm.Model:
    """Build counts over an autoregression of first order."""
    with pm.Model() as model:
        rho, step = pm.Uniform("rho", -1.0, 1.0), pm.HalfNormal("step", 0.3)
        first = pm.Normal.dist(0.0, 1.0)
        level = pm.AR("level", rho=rho, sigma=step, init_dist=first, shape=n)
        pm.Poisson("counts", pm.math.exp(level), observed=_counts(n))
    return model


def latent_process(n: int = 50) -> pm.Model:
    """Build counts over a latent Gaussian process of `n` points."""
    x = np.linspace(0.0, 10.0, n)[:, None]
    with pm.Model() as model:
        scale, length = pm.HalfNormal("scale", 1.0), pm.InverseGamma("length", 5.0, 5.0)
        process = pm.gp.Latent(cov_func=scale**2 * pm.gp.cov.Matern52(1, ls=length))
        pm.Poisson("counts", pm.math.exp(process.prior("f", X=x)), observed=_counts(n))
    return model


def basis_process(n: int = 200) -> pm.Model:
    """Build counts over a Gaussian process of 25 basis functions."""
    x = np.linspace(0.0, 10.0, n)[:, None]
    with pm.Model() as model:
        scale, length = pm.HalfNormal("scale", 1.0), pm.InverseGamma("length", 5.0, 5.0)
        process = pm.gp.HSGP(m=[25], c=1.5, cov_func=scale**2 * pm.gp.cov.Matern52(1, ls=length))
        pm.Poisson("counts", pm.math.exp(process.prior("f", X=x)), observed=_counts(n))
    return model


def normal_vectors(groups: int = 60, rows: int = 600, effects: int = 3) -> pm.Model:
    """Build slopes that vary together, written as vectors of a normal distribution under an LKJ prior."""
    rng = np.random.default_rng(SEED)
    group, x = rng.integers(0, groups, rows), rng.normal(size=(rows, effects))
    y = (x * rng.normal(size=(groups, effects))[group]).sum(axis=1) + rng.normal(size=rows)
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 1.0, shape=effects)
        factor, _, _ = pm.LKJCholeskyCov("covariance", eta=2.0, n=effects, sd_dist=pm.HalfNormal.dist(1.0))
        slopes = pm.MvNormal("slopes", mean, chol=factor, shape=(groups, effects))
        pm.Normal("y", (x * slopes[group]).sum(axis=1), pm.HalfNormal("sigma", 1.0), observed=y)
    return model


def _counts(n: int) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    return rng.poisson(np.exp(np.cumsum(0.1 * rng.normal(size=n))))


MODELS: dict[str, Callable[[], pm.Model]] = {
    "eight_schools": eight_schools.build,
    "eight_schools_centred": eight_schools_centred,
    "radon_centred": radon_centred,
    "group_slopes": group_slopes.build,
    "many_groups": many_groups.build,
    "random_walk": random_walk,
    "written_walk": written_walk,
    "autoregression": autoregression,
    "latent_process": latent_process,
    "basis_process": basis_process,
    "normal_vectors": normal_vectors,
}
