"""Log densities in coordinates between centred and not: exact for every centredness, whatever the model consists of."""

import itertools

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from coordinates import At
from model.inlining import INTERPRETED

from nutmill import CompiledModel, compile_model

N_POINTS = 25


def hierarchy() -> pm.Model:
    """Every family, scales that are sites themselves, sites on sites, products that were written by hand."""
    rng = np.random.default_rng(1)
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, 2.0), pm.HalfNormal("tau", 1.0)
        log_scale = pm.Normal("log_scale", -0.5, tau, shape=3)
        normal = pm.Normal("normal", mu, pm.math.exp(log_scale), shape=3)
        parts = [normal, pm.Normal("deep", normal[1], tau, shape=(2, 3))]
        parts += [pm.StudentT("student", nu=4.0, mu=mu, sigma=tau, shape=2), pm.Laplace("laplace", mu, tau, shape=2)]
        parts += [pm.Logistic("logistic", normal[:2], tau, shape=2), pm.Cauchy("cauchy", mu, tau)]
        parts += [pm.Gumbel("gumbel", mu, tau, shape=2), pm.LogNormal("log_normal", mu, tau, shape=2)]
        parts += [
            pm.SkewNormal("skew", mu=mu, sigma=tau, alpha=normal[0], shape=2),
            pm.Moyal("moyal", mu, tau, shape=2),
        ]
        by_hand = pm.Normal("by_hand", 0.0, 1.0, shape=3) * tau * pm.HalfCauchy("local", 1.0, shape=3)
        parts += [pm.Deterministic("effect", mu + by_hand), pm.Laplace("z", 0.0, np.float64(1.0), shape=2) * tau]
        for number, part in enumerate(parts):
            pm.Normal(f"y{number}", part.sum(), 1.0, observed=rng.normal(size=3))
    return model


def indirect() -> pm.Model:
    """Products of what is indexed, turned or summed up; effects that sum to zero."""
    group = np.array([0, 2, 1, 1])
    with pm.Model() as model:
        tau, sds = pm.HalfNormal("tau", 1.0), pm.HalfNormal("sds", 1.0, shape=2)
        parts = [pm.Normal("z", 0.0, 1.0, shape=3)[group] * (pm.Data("x", [1.0, -1.0, 2.0, 0.0]) * tau)]
        parts += [pm.Normal("pair", 0.0, 1.0, shape=(3, 2))[group] * sds]
        parts += [pm.math.sum(pm.ZeroSumNormal("centred", sigma=tau, shape=4)[group] ** 2)]
        parts += [pm.ZeroSumNormal("two", sigma=sds[0], n_zerosum_axes=2, shape=(3, 2)).ravel()]
        parts += [pm.ZeroSumNormal("rows", sigma=sds[:, None], shape=(2, 3)).ravel()]
        parts += [(pm.ZeroSumNormal("plain", shape=3) * tau)[group]]
        for number, part in enumerate(parts):
            pm.Normal(f"y{number}", (part**2).sum() - part.sum(), 1.0, observed=0.5)
    return model


def dependent() -> pm.Model:
    """Random walks with and without drift, of several panels and families, autoregressions, an LKJ factor."""
    with pm.Model() as model:
        lkj, _, _ = pm.LKJCholeskyCov("lkj", n=3, eta=2.0, sd_dist=pm.HalfNormal.dist(1.0))
        tau, rho = pm.HalfNormal("tau", 1.0), pm.Normal("rho", 0.0, 0.5, shape=2)
        first = pm.Normal.dist(0.3, pm.HalfNormal("of_first", 1.0))
        parts = [pm.GaussianRandomWalk("plain", sigma=tau, init_dist=pm.Normal.dist(0.0, 1.0), steps=4)]
        drift, spreads = pm.Normal("drift", 0.0, 1.0, shape=2), pm.HalfNormal("spreads", 1.0, shape=2)
        parts += [pm.GaussianRandomWalk("panel", mu=drift, sigma=spreads, init_dist=first, shape=(2, 3))]
        step = pm.StudentT.dist(nu=4.0, mu=0.1, sigma=tau)
        parts += [pm.RandomWalk("student", init_dist=pm.Cauchy.dist(0.0, 1.0), innovation_dist=step, steps=1)]
        parts += [pm.AR("ar", rho=rho[0], sigma=tau, init_dist=first, steps=3)]
        parts += [pm.AR("level", rho=rho, sigma=spreads, constant=True, init_dist=first, shape=(2, 4))]
        parts += [pm.Normal("z", 0.0, 1.0, shape=(2, 3)) @ lkj.T]
        parts += [pm.AR("second", rho=[rho[0], -0.4], sigma=tau, init_dist=first, steps=3)]
        pair = pm.MvNormal.dist(np.ones(2), np.eye(2) + 0.5)
        rhos = pt.stack([rho[1], 0.2, rho[0]])
        parts += [pm.AR("rows", rhos, spreads, constant=True, init_dist=pair, shape=(2, 5))]
        for number, part in enumerate(parts):
            pm.Normal(f"y{number}", part.sum(), part[..., -1].sum() ** 2 + 1.0, observed=[0.5, -1.0])
    return model


def steps() -> pm.Model:
    """Walks whose steps are written by hand."""
    with pm.Model() as model:
        tau, sds = pm.HalfNormal("tau", 1.0), pm.HalfNormal("sds", 1.0, shape=2)
        level, parts = pm.Normal("level", 0.0, 1.0), [pm.math.cumsum(pm.Normal("z", 0.0, 1.0, shape=4) * tau)]
        parts += [pt.cumsum(pm.Normal("after", 0.0, 1.0, shape=3)) * pm.math.exp(0.3 * level)]
        parts += [pt.cumsum(pm.Normal("panel", 0.0, 1.0, shape=(3, 2)) * sds, axis=0)]
        parts += [pt.cumsum(sds[:, None] * pm.Laplace("rows", 0.0, np.float64(1.0), shape=(2, 3)), axis=1)]
        parts += [pt.cumsum(pt.concatenate([level[None], tau * pm.Normal("from", 0.0, 1.0, shape=3)]))]
        for number, part in enumerate(parts):
            pm.Normal(f"y{number}", part.sum(), part[-1].sum() ** 2 + 1.0, observed=[0.5, -1.0])
    return model


def correlated() -> pm.Model:
    """Gaussian vectors with covariances that depend on parameters, centred and not."""
    points = np.array([0.0, 0.5, 1.3])
    with pm.Model() as model:
        length, tau = pm.LogNormal("length", 0.0, 0.3), pm.HalfNormal("tau", 1.0)
        lkj, _, _ = pm.LKJCholeskyCov("lkj", n=2, eta=2.0, sd_dist=pm.HalfNormal.dist(1.0))
        covariance = pt.exp(-np.abs(np.subtract.outer(points, points)) / length)
        factor = pt.linalg.cholesky(covariance)
        parts = [pm.MvNormal("values", tau, cov=covariance), pm.MvNormal("rows", np.ones(2), chol=lkj, shape=(3, 2))]
        parts += [factor @ pm.Normal("z", 0.0, 1.0, shape=3), tau * (factor @ pm.Normal("several", 0, 1, shape=(3, 2)))]
        for number, part in enumerate(parts):
            pm.Normal(f"y{number}", part.sum(), part[-1].sum() ** 2 + 1.0, observed=[0.5, -1.0])
    return model


def shaped() -> pm.Model:
    """Distributions that are narrow where their shapes are large, one of them located by another."""
    with pm.Model() as model:
        size, shape = pm.HalfNormal("size", 2.0), pm.HalfNormal("shape", 1.0, shape=2)
        rate = pm.Beta("rate", size * 0.3, size * 0.7, shape=3)
        parts = [rate, pm.Gamma("gamma", shape, 1.0 + shape, shape=(3, 2)), pm.InverseGamma("inverse", rate[0], size)]
        parts += [pm.Weibull("weibull", shape, size), pm.Dirichlet("dirichlet", pt.stack([size, rate[1], 0.5]))]
        parts += [pm.Dirichlet("rows", size * np.ones(2), shape=(3, 2))]
        for number, part in enumerate(parts):
            pm.Normal(f"y{number}", pt.log(part).sum(), 1.0, observed=0.5)
    return model


def crossed() -> pm.Model:
    """Effects that are added to an intercept: few and many, two and one, centred and not, with data for a length."""
    rng = np.random.default_rng(2)
    with pm.Model(coords={"level": range(5)}) as model:
        total = pm.Normal("intercept", 0.3, 2.0) + np.zeros(4)
        for name, n in {"three": 3, "two": 2, "one": 1, "many": 17}.items():
            effect = pm.Normal(name, 0.0, pm.HalfNormal(f"{name}_sd", 1.0), shape=n)
            total = total + effect[rng.integers(0, n, 4)]
        by_hand = pm.Exponential("sd", 1.0) * pm.Normal("by_hand", 0.0, 1.0, dims="level")
        total = total + pm.Deterministic("effect", by_hand, dims="level")[np.array([4, 0, 1, 1])]
        pm.Normal("y", total, 1.0, observed=rng.normal(size=4))
    return model


def summed() -> pm.Model:
    """Effects whose mean is taken off, that are compared, added to a number, repeated or stacked, of other priors."""
    group, other = np.array([0, 2, 1, 1]), np.array([2, 1, 2, 0])
    with pm.Model() as model:
        tau, level, nu = pm.HalfNormal("tau", 1.0), pm.Normal("level", 0.5, 1.0), pm.Gamma("nu", 3.0, 0.5)
        z, v = pm.Normal("z", 0.0, 1.0, shape=3), pm.Normal("v", 0.0, tau, shape=4)
        rows, many = pm.Normal("rows", 0.0, 1.0, shape=(4, 2)), pm.Normal("many", 0.0, 1.0, shape=17)
        sds = pm.HalfNormal("sds", 1.0, shape=2)
        parts = [(z - z.mean()) * tau, v - v.mean(), (rows - rows.mean(axis=0)) * sds, tau * (many - pt.mean(many))]
        compared, moved = pm.Normal("compared", 0.0, 1.0, shape=3), pm.Normal("moved", 0.0, 1.0, shape=3)
        parts += [(0.3 + compared[group] - compared[other]) * sds[0], (level + moved[group]) * sds[1]]
        parts += [pt.repeat(pm.Normal("copied", 0.0, 1.0, shape=3), 2) * tau]
        parts += [pt.tile(pm.Normal("tiled", 0.0, 2.5, shape=2), 2) / sds[0]]
        parts += [pt.stack([pm.Normal(f"n{k}", 0.0, np.float64(1.0)) for k in range(2)]) * sds]
        parts += [pt.switch([True, False, True], pm.Normal("kept", 0.0, 1.0, shape=3), 0.0) * tau]
        parts += [pm.StudentT("tails", nu=nu, mu=0.0, sigma=1.0, shape=3) * tau]
        parts += [pt.cumsum(pm.StudentT("steps", nu=nu, mu=0.0, sigma=1.0, shape=3) * tau)]
        for number, part in enumerate(parts):
            pm.Normal(f"y{number}", (part**2).sum() - part.sum(), 2.0, observed=0.5)
    return model


@pytest.fixture(scope="module", params=[hierarchy, indirect, dependent, steps, correlated, shaped, crossed, summed])
def build(request):
    return request.param


@pytest.fixture(scope="module")
def compiled(build) -> CompiledModel:
    return compile_model(build())


def centrednesses(compiled: CompiledModel, n: int):
    """Random ones, those of the model as it is written, and both ends."""
    is_site = compiled.binding.sites >= 0
    rng = np.random.default_rng(3)
    yield from (is_site * 0.0, is_site * 1.0, compiled.binding.written)
    for _ in range(n):
        yield is_site * rng.choice([0.0, 0.05, 0.3, 1.0, rng.uniform()], len(is_site))


def test_as_it_is_written_the_density_is_that_of_pymc(build, compiled):
    logp = build().compile_logp(mode=INTERPRETED)
    for q in np.random.default_rng(4).normal(size=(5, compiled.n_dim)):
        assert compiled.logp_dlogp(q)[0] == pytest.approx(logp(compiled.split(q)), rel=1e-12, abs=1e-11)


def test_the_volume_is_all_that_changes(compiled):
    rng = np.random.default_rng(5)
    for c in centrednesses(compiled, N_POINTS):
        x, at = rng.normal(size=compiled.n_dim), At(compiled, c)
        v, log_volume = at.moved(x, compiled.binding.written)
        # As many digits as v - mu keeps where a scale is exp(-9).
        assert at.density(x)[0] == pytest.approx(compiled.logp_dlogp(v)[0] + log_volume, rel=2e-11, abs=1e-11)


def test_gradients_are_those_of_the_density(compiled):
    rng = np.random.default_rng(6)
    for c in centrednesses(compiled, 5):
        x, at = rng.normal(size=compiled.n_dim), At(compiled, c)
        direction, step = rng.normal(size=compiled.n_dim) / np.sqrt(compiled.n_dim), 1e-3
        one, two = (at.density(x + k * step * direction)[0] - at.density(x - k * step * direction)[0] for k in (1, 2))
        lp, gradient = at.density(x)
        size = max(1.0, abs(lp), np.linalg.norm(gradient))
        assert gradient @ direction == pytest.approx((8.0 * one - two) / (12.0 * step), abs=1e-8 * size)


def test_coordinates_come_back(compiled):
    rng = np.random.default_rng(7)
    places = list(centrednesses(compiled, 4))
    x = rng.normal(size=compiled.n_dim)
    for first, second in itertools.pairwise(places):
        there, out = At(compiled, first).moved(x, second)
        back, home = At(compiled, second).moved(there, first)
        np.testing.assert_allclose(back, x, rtol=1e-12, atol=1e-12)
        assert out + home == pytest.approx(0.0, abs=1e-11)


def test_a_tiny_scale_loses_no_digits():
    """Where the location is large and the scale is not, v - mu would be rounding errors."""
    with pm.Model() as model:
        pm.Normal("v", 1e3, pm.math.exp(pm.Normal("log_s", 0.0, np.float64(10.0))), shape=2)
    at = At(compile_model(model), [0.0, 0.0, 0.0])
    for log_s in (-60.0, -5.0):
        lp, gradient = at.density(np.array([log_s, 0.7, -0.4]))
        assert lp == pytest.approx(
            -0.5 * (log_s / 10) ** 2 - np.log(10) - 0.5 * 0.65 - 1.5 * np.log(2 * np.pi), rel=1e-13
        )
        np.testing.assert_allclose(gradient, [-log_s / 100, -0.7, 0.4], rtol=1e-13)


@pytest.mark.parametrize("log_s", [-800.0, 800.0])
def test_a_scale_of_zero_or_infinity_has_no_density(log_s):
    with pm.Model() as model:
        pm.Normal("v", 1e3, pm.math.exp(pm.Normal("log_s", 0.0, np.float64(10.0))), shape=2)
    for c in (0.0, 1.0):
        assert not np.isfinite(At(compile_model(model), [0.0, c, c]).density(np.array([log_s, 0.7, -0.4]))[0])


def log_marginal(at: At, log_tau: float, n: int) -> float:
    """Integral over all that is Gaussian given the scale, which comes first in the position."""
    points = np.concatenate([np.zeros((1, n)), np.eye(n)])
    values, gradients = zip(*(at.density(np.concatenate([[log_tau], x])) for x in points), strict=True)
    force = gradients[0][1:]
    precision = np.array([force - gradient[1:] for gradient in gradients[1:]])
    shift = 0.5 * force @ np.linalg.solve(precision, force)
    return values[0] + shift + 0.5 * n * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]


def test_the_marginal_of_the_scale_is_untouched():
    """What a Jacobian that forgets an element would change, and neither the fit at c = 0 nor that at c = 1 shows."""
    y, sigma = np.array([2.8, 0.8, -0.3, 0.7]), np.array([1.5, 1.0, 1.6, 0.4])
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", np.float64(2.0))
        pm.Normal("y", pm.Normal("theta", 0.5, tau, shape=4), sigma, observed=y)
    compiled, rng = compile_model(model), np.random.default_rng(8)
    for log_tau in (-4.0, -0.5, 1.0, 3.0):
        scale = np.sqrt(np.exp(2 * log_tau) + sigma**2)
        expected = np.sum(-0.5 * ((y - 0.5) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi))
        expected += np.log(2) - 0.5 * np.log(2 * np.pi) - np.log(2.0) - np.exp(2 * log_tau) / 8 + log_tau
        for c in (0.0, 0.3, 1.0, rng.uniform(size=4), rng.choice([0.0, 1.0], 4)):
            at = At(compiled, np.concatenate([[0.0], np.broadcast_to(c, 4)]))
            assert log_marginal(at, log_tau, 4) == pytest.approx(expected, rel=1e-10)


def test_information_makes_coordinates_as_wide_at_every_scale():
    """Data with a standard error of e tell of each element: at c = 1 / (1 + e^2) no scale has a neck of its own."""
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", np.float64(2.0))
        pm.Normal("y", pm.Normal("theta", 0.5, tau, shape=2), 0.4, observed=np.array([2.8, 0.8]))
    c = 1.0 / 1.16
    at = At(compile_model(model), [0.0, c, c])
    for log_tau in (-9.0, -2.0, 0.0, 4.0):
        one, two = (at.density(np.array([log_tau, x, 0.3]))[1][1] for x in (-1.0, 1.0))
        assert one - two == pytest.approx(2.0 / (1.0 - c), rel=1e-9)
