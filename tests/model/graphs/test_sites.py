"""Which sites of a hierarchy are found in a model: centred and hand-written ones, and nothing else."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.tensor.random.basic import GumbelRV

from nutmill.model.graphs.hierarchies.families import FAMILIES
from nutmill.model.graphs.hierarchies.positive import is_positive
from nutmill.model.graphs.hierarchies.sites import find_sites

GROUP, OTHER = np.array([0, 2, 1, 1]), np.array([2, 2, 1, 0])
NORMALS = pm.MvNormal.dist(np.zeros(2), np.eye(2))


def sites_of(build, **coords) -> dict[str, float]:
    """Names of the sites that are found, in their order, with the centredness as written."""
    with pm.Model(coords=coords) as model:
        build()
    return {site.variable.name: site.written for site in find_sites(model)}


@pytest.mark.parametrize(
    "family", ["Normal", "StudentT", "Laplace", "Logistic", "Cauchy", "Gumbel", "LogNormal", "SkewNormal", "Moyal"]
)
def test_families_of_location_and_scale(family):
    def build():
        tau = pm.HalfNormal("tau", 1.0)
        further = {"nu": 4.0} if family == "StudentT" else {"alpha": 2.0} if family == "SkewNormal" else {}
        scale = (
            "sigma"
            if family in ("Normal", "StudentT", "LogNormal", "SkewNormal", "Moyal")
            else "b"
            if family == "Laplace"
            else "s"
        )
        scale = "beta" if family in ("Cauchy", "Gumbel") else scale
        location = "alpha" if family == "Cauchy" else "mu"
        getattr(pm, family)("v", **{location: pm.Normal("mu", 0.0, 2.0), scale: tau}, **further, shape=3)

    assert sites_of(build) == {"v": 1.0}


def test_first_values_take_no_part_in_the_density_of_steps_wherever_they_are():
    """A step of Gumbel's distribution at -1000 has the density exp(-exp(1000)), and no finite derivative."""
    xi = pt.vector("xi", dtype="float64")
    log_density = FAMILIES[GumbelRV].log_density(xi, (), where=xi > -900.0)
    value, gradient = (
        each.eval({xi: [-1000.0, 0.5]}, mode=Mode("py", None)) for each in (log_density, pt.grad(log_density, xi))
    )
    np.testing.assert_allclose(value, -0.5 - np.exp(-0.5), rtol=1e-12)
    np.testing.assert_allclose(gradient, [0.0, np.exp(-0.5) - 1.0], rtol=1e-12)


def test_the_scale_of_a_precision():
    assert sites_of(lambda: pm.Normal("v", 0.0, tau=pm.Gamma("precision", 1.0, 1.0), shape=2)) == {"v": 1.0}


def test_sites_come_after_what_they_depend_on():
    def build():
        z = pm.Normal("z", 0.0, 1.0, shape=4)
        log_scale = pm.Normal("log_scale", 0.0, pm.HalfNormal("tau", 1.0), shape=4)
        pm.Normal("leaf", z * pm.math.exp(log_scale), pm.HalfNormal("s", 1.0), shape=4)

    assert list(sites_of(build)) == ["log_scale", "z", "leaf"]


@pytest.mark.parametrize(
    ("product", "found"),
    [
        (lambda z, tau, _free: 2.0 + tau * z, True),
        (lambda z, tau, _free: z * pm.math.sqrt(tau**2 + 1.0) / 3.0, True),
        (lambda z, tau, _free: z / tau, True),
        (lambda z, _tau, free: z * pm.math.exp(free), True),
        (lambda z, tau, _free: z * pm.Deterministic("twice", 2.0 * tau), True),
        (lambda z, tau, free: z * tau * free[0], True),
        (lambda z, _tau, free: z * free, False),
        (lambda z, tau, _free: tau / z, False),
        (lambda z, _tau, _free: z * 3.0, False),
        (lambda z, tau, _free: tau + z, False),
        (lambda z, tau, _free: z * pm.math.exp(tau + z), False),
        (lambda z, tau, _free: z[:, None] * (tau * np.ones(2)), False),
        (lambda z, _tau, free: z[:, None] * pm.math.exp(free[:2]), False),
        (lambda z, tau, _free: z[GROUP] * tau, True),
        (lambda z, tau, _free: 2.0 + z[pm.Data("group", GROUP)] * (pm.Data("x", np.ones(4)) * tau), True),
        (lambda z, _tau, free: z[GROUP] * pm.math.exp(free)[GROUP], True),
        (lambda z, _tau, free: z[GROUP] * pm.math.exp(free)[OTHER], False),
        (lambda z, tau, _free: tau * pt.cumsum(z), True),
        (lambda z, tau, _free: (pm.Data("x", np.ones((4, 3))) @ z) / tau, True),
        (lambda z, _tau, free: (pm.Data("x", np.ones((3, 3))) @ z) * pm.math.exp(free), False),
        (lambda z, tau, _free: tau * pt.set_subtensor(pt.zeros(5)[1:4], -z), True),
        (lambda z, tau, _free: tau * pt.zeros(5)[GROUP[:3]].inc(z), True),
        (lambda z, tau, _free: tau * pt.set_subtensor(z[1:], 0.0), False),
        (lambda z, _tau, _free: z * pt.sqrt(1.0 - pm.Beta("share", 1.0, 1.0)), True),
        (lambda z, tau, _free: (1.0 + z) * tau, True),
        (lambda z, tau, _free: pm.math.exp(z[GROUP]) * tau, False),
        (lambda z, tau, _free: z * (tau - 1.0), False),
    ],
)
def test_hand_written_products(product, found):
    def build():
        tau, free = pm.HalfNormal("tau", 1.0), pm.Normal("free", 0.0, 2.0, shape=3)
        effect = product(pm.Normal("z", 0.0, 1.0, shape=3), tau, free)
        pm.Normal("y", effect.sum(), 1.0, observed=0.5)

    assert sites_of(build) == ({"z": 0.0} if found else {})


def test_all_factors_of_a_product_are_its_scale():
    with pm.Model() as model:
        local, overall = pm.HalfCauchy("local", 1.0, shape=3), pm.HalfNormal("overall", 1.0)
        z = pm.Normal("z", 0.0, 1.0, shape=3)
        pm.Deterministic("effect", z * local * overall)
    (site,) = find_sites(model)
    np.testing.assert_allclose(site.scale.eval({local: [1.0, 2.0, 3.0], overall: 0.5}), [0.5, 1.0, 1.5])


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        (lambda z, scales: z[GROUP] * scales, [[1.0, 2.0]] * 3),
        (lambda z, scales: z[GROUP, :].T * scales[:, None], [[1.0, 2.0]] * 3),
        (lambda z, scales: z[:, 1] * scales[1], [[2.0]]),
        (lambda z, scales: (z * scales[0])[GROUP] / scales[1], [[0.5]]),
    ],
    ids=["indexed", "turned", "a column", "a product and a quotient"],
)
def test_a_scale_has_the_axes_of_what_it_is_of(product, expected):
    with pm.Model() as model:
        scales = pm.HalfNormal("scales", 1.0, shape=2)
        pm.Deterministic("product", product(pm.Normal("z", 0.0, 1.0, shape=(3, 2)), scales))
    (site,) = find_sites(model)
    found = site.scale.eval({scales: [1.0, 2.0]}, mode=Mode("py", None))
    np.testing.assert_allclose(np.broadcast_to(found, (3, 2)), np.broadcast_to(expected, (3, 2)))


def test_basis_functions_of_gaussian_processes():
    for kernel in (pm.gp.cov.Matern52, pm.gp.cov.Matern32, pm.gp.cov.ExpQuad):

        def build(kernel=kernel):
            length = pm.InverseGamma("length", 5.0, 5.0)
            process = pm.gp.HSGP(m=[4], c=1.5, cov_func=pm.HalfNormal("eta", 1.0) ** 2 * kernel(1, ls=length))
            process.prior("f", X=np.linspace(0.0, 1.0, 5)[:, None])

        assert sites_of(build) == {"f_hsgp_coeffs": 0.0}


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (lambda tau: pm.ZeroSumNormal("v", sigma=tau, shape=3), {"v": 1.0}),
        (lambda tau: pm.ZeroSumNormal("v", sigma=tau, n_zerosum_axes=2, shape=(3, 4)), {"v": 1.0}),
        (lambda tau: tau * pm.ZeroSumNormal("v", shape=3), {"v": 0.0}),
        (lambda tau: pm.math.exp(tau * np.arange(3)) * pm.ZeroSumNormal("v", shape=3), {}),
        (lambda tau: tau * pm.ICAR("v", W=np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])), {}),
    ],
    ids=["centred", "of two axes", "not centred", "of several scales", "on a map"],
)
def test_effects_that_sum_to_zero(build, found):
    assert sites_of(lambda: pm.Deterministic("d", build(pm.HalfNormal("tau", 1.0)))) == found


@pytest.mark.parametrize(
    ("shape", "product", "found"),
    [
        ((5, 2), lambda z, lkj: pt.dot(z, lkj.T), True),
        ((5, 2), lambda z, lkj: z @ lkj.T, True),
        ((2, 5), lambda z, lkj: pt.dot(lkj, z), True),
        (2, lambda z, lkj: pt.dot(lkj, z), True),
        ((5, 2), lambda z, lkj: lkj.dot(z.T).T, True),
        ((2, 5), lambda z, lkj: z.T @ lkj.T, True),
        ((5, 2), lambda z, lkj: pt.dot(z, lkj), False),
        ((5, 2), lambda z, lkj: pt.dot(z, (lkj - 1.0).T), False),
    ],
)
def test_factors_of_lkj_priors_have_rows_as_long_as_standard_deviations(shape, product, found):
    with pm.Model() as model:
        lkj, _, sds = pm.LKJCholeskyCov("lkj", n=2, eta=2.0, sd_dist=pm.HalfNormal.dist(1.0))
        z = pm.Normal("z", 0.0, 1.0, shape=shape)
        pm.Deterministic("product", product(z, lkj))
    sites = [site for site in find_sites(model) if site.variable is z]
    assert len(sites) == found
    if found and shape != 2:
        scale, expected = pm.draw([sites[0].scale, sds], random_seed=1, mode=Mode("py", None))
        np.testing.assert_allclose(scale, expected if shape == (5, 2) else expected[:, None], rtol=1e-12)


@pytest.mark.parametrize(
    ("build", "location"),
    [
        (lambda s, first: pm.GaussianRandomWalk("v", 0.5, s, init_dist=first, steps=3), [0.0, 2.5, 7.5, 8.5]),
        (lambda s, first: pm.AR("v", rho=0.5, sigma=s, init_dist=first, steps=3), [0.0, 1.0, 3.5, 4.0]),
        (lambda s, first: pm.AR("v", [8.0, 0.5], s, constant=True, init_dist=first, steps=3), [0.0, 9.0, 11.5, 12.0]),
    ],
    ids=["walk", "autoregression", "with a constant"],
)
def test_each_value_of_a_walk_is_located_by_the_one_before_it(build, location):
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 1.0)
        walk = build(tau, pm.Normal.dist(0.0, 1.0))
    (site,) = find_sites(model)
    assert (site.variable, site.written, site.process is not None) == (walk, 1.0, True)
    found = pt.stack([site.location, site.scale]).eval({walk: [2.0, 7.0, 8.0, 1.0], tau: 0.1}, mode=Mode("py", None))
    np.testing.assert_allclose(found, [location, [1.0, 0.1, 0.1, 0.1]], rtol=1e-6)


def test_values_of_an_autoregression_are_located_by_as_many_as_it_has_coefficients():
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 1.0)
        first = pm.Normal.dist(0.0, 1.0)
        values = pm.AR("v", rho=[8.0, 0.5, -1.0], sigma=tau, constant=True, init_dist=first, steps=3)
    (site,) = find_sites(model)
    given = {values: [2.0, 7.0, 8.0, 1.0, 3.0], tau: 0.1}
    found = pt.stack([site.location, site.scale]).eval(given, mode=Mode("py", None))
    np.testing.assert_allclose(found, [[0.0, 0.0, 9.5, 5.0, 0.5], [1.0, 1.0, 0.1, 0.1, 0.1]], rtol=1e-6)


def test_elements_of_a_packed_factor_have_the_scale_on_the_diagonal_of_their_row():
    with pm.Model() as model:
        pm.LKJCholeskyCov("lkj", n=3, eta=2.0, sd_dist=pm.HalfNormal.dist(1.0))
    (site,) = find_sites(model)
    assert (site.variable, site.written, site.is_prior) == (model["lkj"], 1.0, False)
    scale = site.scale.eval({model["lkj"]: [0.5, -7.0, 0.2, -7.0, 7.0, 0.3]}, mode=Mode("py", None))
    np.testing.assert_allclose(scale, [1.0, 0.2, 1.0, 0.3, 0.3, 1.0])


def test_two_that_scale_each_other_are_not_both_sites():
    def build():
        a, b = pm.Normal("a", 0.0, 1.0), pm.Normal("b", 0.0, 1.0)
        pm.Potential("tie", a * pm.math.exp(b) + b * pm.math.exp(a))

    assert len(sites_of(build)) == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda tau: pm.Normal("v", 0.0, 2.0, shape=2),
        lambda tau: pm.Normal("v", pm.Normal("mu", 0.0, 1.0), 2.0, shape=2),
        lambda tau: pm.Normal("v", 0.0, tau, shape=3, transform=pm.distributions.transforms.ordered, initval=[0, 1, 2]),
        lambda tau: pm.HalfNormal("v", tau, shape=2),
        lambda tau: pm.Gamma("v", 2.0, tau, shape=2),
        lambda tau: pm.Weibull("v", 2.0, tau, shape=2),
        lambda tau: pm.Gamma("v", tau, 1.0, shape=2, default_transform=None),
        lambda tau: pm.Normal("v", 0.0, tau, observed=np.zeros(3)),
        lambda tau: pm.MvNormal("v", np.zeros(2), tau=np.eye(2) * tau),
        lambda tau: pm.MvNormal("v", tau, cov=np.eye(2), shape=2),
        lambda tau: pm.ZeroSumNormal("v", sigma=2.0, shape=3),
        lambda tau: pm.GaussianRandomWalk("v", tau, 2.0, init_dist=pm.Normal.dist(0.0, tau), steps=3),
        lambda tau: pm.AR("v", rho=[tau, 0.1], sigma=1.0, init_dist=pm.Normal.dist(0.0, tau), steps=3),
        lambda tau: pm.MvGaussianRandomWalk("v", mu=np.zeros(2), cov=np.eye(2) * tau, init_dist=NORMALS, steps=3),
        lambda tau: pm.Poisson("v", tau, observed=np.ones(3)),
    ],
)
def test_what_is_no_site(build):
    assert sites_of(lambda: build(pm.HalfNormal("tau", 1.0))) == {}


def test_signs_are_told_from_operations():
    with pm.Model() as model:
        scale, real = pm.HalfNormal("scale", 1.0, shape=3), pm.Normal("real", 0.0, 1.0, shape=3)
        between, below = pm.Uniform("between", 0.0, 2.0), pm.Uniform("below", -1.0, 2.0)
        shared = pm.Data("shared", np.ones(3))
    positive = [
        scale,
        between,
        pt.exp(real),
        pt.sqrt(scale + 1.0),
        scale[np.array([0, 2])],
        scale[:, None],
        scale**-0.5,
    ]
    positive += [pt.clip(real, 0.01, 9.0), pt.switch(real > 0.0, scale, 2.0)]
    positive += [2.0 - between, np.array([2.0, 3.0]) - below]
    positive += [1.0 / scale, pt.stack([scale[0], between]), pt.softplus(real), scale.sum(), np.ones(3) * scale]
    other = [
        real,
        below,
        scale - 1.0,
        1.9 - between,
        9.0 - scale,
        pt.clip(scale, 0.0, 9.0),
        pt.switch(real > 0.0, scale, real),
        scale * real,
        scale * shared,
        pt.log(scale),
        -scale,
        np.array([1.0, -1.0, 0.0]) * scale,
    ]
    assert all(is_positive(expression, model) for expression in positive)
    assert not any(is_positive(expression, model) for expression in other)
