"""Which processes are found in a model: walks whose steps are written by hand, Gaussian vectors with a covariance."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode

from nutmill.model.anatomy import operations
from nutmill.model.graphs.hierarchies.sites import find_sites
from nutmill.model.graphs.pymc_model import from_pymc


def covariance(tau):
    return tau**2 * np.array([[1.0, 0.5, 0.3], [0.5, 1.0, 0.5], [0.3, 0.5, 1.0]])


@pytest.mark.parametrize(
    ("build", "written"),
    [
        (lambda tau: pm.MvNormal("f", [1.0, 0.0, -1.0], cov=covariance(tau)), 1.0),
        (lambda tau: pm.MvNormal("f", [1.0, 0.0, -1.0], chol=pt.linalg.cholesky(covariance(tau))), 1.0),
        (lambda tau: pm.MvNormal("f", [1.0, 0.0, -1.0], cov=covariance(tau), shape=(2, 3)), 1.0),
        (lambda tau: pt.linalg.cholesky(covariance(tau)) @ pm.Normal("f", 0.0, 1.0, shape=3), 0.0),
        (lambda tau: pm.Normal("f", 0.0, 1.0, shape=(2, 3)) @ pt.linalg.cholesky(covariance(tau)).T, 0.0),
        (lambda tau: tau * (pt.linalg.cholesky(covariance(1 + tau) / 9) @ pm.Normal("f", 0.0, 1.0, shape=3)), 0.0),
    ],
)
def test_elements_of_gaussian_vectors_are_located_by_those_before(build, written):
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 1.0)
        pm.Deterministic("used", build(tau))
    (site,) = find_sites(model)
    assert (site.variable.name, site.written, site.process is not None) == ("f", written, True)
    point = np.broadcast_to([0.5, -2.0, 1.5], site.variable.type.shape)
    factor, mean = np.linalg.cholesky(covariance(2.0)), np.array([1.0, 0.0, -1.0]) * written
    found = pt.stack([site.location, site.location * 0.0 + site.scale]).eval(
        {site.variable: point, tau: 2.0}, mode=Mode("py", None)
    )
    z = np.linalg.solve(factor, point.T - mean[:, None] if point.ndim > 1 else point - mean) if written else point.T
    expected = mean + (np.tril(factor, -1) @ z).T
    np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], np.broadcast_to(np.diag(factor), point.shape), rtol=1e-6)


@pytest.mark.parametrize(
    ("product", "location"),
    [
        (lambda z, s, first: pt.cumsum(z * s, axis=0), [[0.0, 0.0], [1.0, 20.0], [4.0, 60.0]]),
        (lambda z, s, first: first + pt.cumsum(z, axis=0) * s, [[0.0, 0.0], [1.0, 20.0], [4.0, 60.0]]),
        (lambda z, s, first: pt.cumsum(pt.cumsum(z * s, axis=0), axis=0), [[0.0, 0.0], [1.0, 20.0], [4.0, 60.0]]),
        (lambda z, s, first: pt.cumsum(z * s, axis=1), [[0.0, 1.0], [0.0, 3.0], [0.0, 5.0]]),
        (
            lambda z, s, first: pt.concatenate([first[None], s * z]).cumsum(axis=0),
            [[0.0, 0.0], [1.0, 20.0], [4.0, 60.0]],
        ),
        (lambda z, s, first: pt.cumsum(z * s), None),  # of all elements, one row after the other
        (lambda z, s, first: pt.cumsum(z[[0, 2, 1]] * s, axis=0), None),
        (lambda z, s, first: pt.cumprod(z * s, axis=0), None),
    ],
)
def test_steps_whose_sums_are_used_are_located_by_the_value_before(product, location):
    with pm.Model() as model:
        s, z = pm.HalfNormal("s", 1.0, shape=2), pm.Normal("z", 0.0, 1.0, shape=(3, 2))
        pm.Deterministic("walk", product(z, s, pm.Normal("first", 0.0, 1.0, shape=2)))
    sites = [site for site in find_sites(model) if site.variable is z]
    if location is None:
        assert all(site.process is None for site in sites)
    else:
        (site,) = sites
        assert site.written == 0.0 and site.process is not None
        found = site.location.eval({z: [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], s: [1.0, 10.0]}, mode=Mode("py", None))
        np.testing.assert_allclose(found, location)


def test_a_latent_process_is_factorised_once():
    """The factor of the site is that of the likelihood, of which PyMC has rewritten the covariance."""
    with pm.Model() as model:
        covariance = pm.HalfNormal("amplitude") ** 2 * pm.gp.cov.Matern52(1, pm.InverseGamma("length_scale", 5.0, 5.0))
        f = pm.gp.Latent(cov_func=covariance).prior("f", np.linspace(0.0, 5.0, 12)[:, None])
        pm.Poisson("y", pm.math.exp(f), observed=np.arange(12) % 4)
    assert operations(from_pymc(model)).after["LeanCholesky"] == 1
