"""Where distributions with shapes of their own lie: what coordinates of rates and proportions are chosen by."""

import numpy as np
import pymc as pm
import pytest
from pytensor.compile.mode import Mode

from nutmill.model.graphs.hierarchies.sites import find_sites


@pytest.mark.parametrize(
    "build",
    [
        lambda k: pm.Beta("v", 0.3 * k, 0.7 * k, shape=3),
        lambda k: pm.Beta("v", mu=0.3, nu=k, shape=3),
        lambda k: pm.Gamma("v", k, 2.0, shape=3),
        lambda k: pm.Gamma("v", mu=1.0, sigma=k, shape=3),
        lambda k: pm.InverseGamma("v", k, 1.0),
        lambda k: pm.Weibull("v", k, 1.0),
        lambda k: pm.Dirichlet("v", k * np.ones(3)),
    ],
)
def test_distributions_that_are_narrow_where_their_shape_is_large(build):
    with pm.Model() as model:
        build(pm.HalfNormal("k", 1.0))
    assert [(site.variable.name, site.written, site.is_prior) for site in find_sites(model)] == [("v", 1.0, False)]


@pytest.mark.parametrize(
    ("build", "transformed"),
    [
        (lambda k: pm.Beta("v", k, 0.7 * k), lambda v: np.log(v / (1.0 - v))),
        (lambda k: pm.Gamma("v", k, 2.0), np.log),
        (lambda k: pm.InverseGamma("v", k, 2.0), np.log),
        (lambda k: pm.Weibull("v", k, 2.0), np.log),
        (
            lambda k: pm.Dirichlet("v", k * np.array([1.0, 2.0, 4.0])),
            lambda v: (np.log(v) - np.log(v).mean(axis=-1, keepdims=True))[:, :-1],
        ),
    ],
    ids=["Beta", "Gamma", "InverseGamma", "Weibull", "Dirichlet"],
)
@pytest.mark.parametrize("size", [0.9, 9.0])
def test_they_are_placed_where_draws_of_the_prior_are(build, transformed, size):
    with pm.Model() as model:
        k = pm.HalfNormal("k", 1.0)
        build(k)
    (site,) = find_sites(model)
    location, scale = (each.eval({k: size}, mode=Mode("py", None)) for each in (site.location, site.scale))
    draws = transformed(pm.draw(pm.do(model, {"k": size})["v"], 4000, random_seed=1))
    np.testing.assert_allclose(scale, draws.std(axis=0), rtol=0.1)
    np.testing.assert_allclose((draws.mean(axis=0) - location) / scale, np.zeros(np.shape(scale)), atol=0.1)
