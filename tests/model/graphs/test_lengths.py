"""Lengths that a model has as constants because data have them: code knows none of them."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

from nutmill import compile_model
from nutmill.model.cache.fingerprint import fingerprint
from nutmill.model.graphs.pymc_model import from_pymc


def gaussian_process(points, rng=0):
    """Noise on the diagonal of as many points as there are in the data."""
    rng = np.random.default_rng(rng)
    x, y = np.sort(rng.uniform(0.0, 5.0, points)), rng.normal(size=points)
    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 1.0)
        noise = pm.HalfNormal("noise", 1.0)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(1, ls=scale))
        gp.marginal_likelihood("y", X=x[:, None], y=y, sigma=noise)
    return model, x, y


@pytest.mark.parametrize("points", [7, 150, 40_000])
def test_broadcasts_to_the_length_of_data_are_open(points):
    """Whatever the dtype in which PyTensor keeps a length."""
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", pt.alloc(mu, points), 1.0, observed=np.zeros(points))
    graph = from_pymc(model, None)
    lengths = [array for array in graph.arrays if array.is_own]
    assert [(int(array.value), array.value.dtype) for array in lengths] == [(points, np.int64)]


def test_other_lengths_stay_in_the_code():
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Potential("three", -(pt.alloc(mu, 3) ** 2).sum())
        pm.Normal("y", mu, 1.0, observed=np.zeros(5))
    assert not any(array.is_own for array in from_pymc(model, None).arrays)


def test_a_gaussian_process_of_another_size_is_not_compiled(model_cache):
    """Nor after a compile in this process, which leaves notes on constants that PyTensor shares between graphs."""
    for points in (12, 9, 150):
        model, x, y = gaussian_process(points)
        compiled = compile_model(model)
        assert compiled.code.from_cache == (points != 12)
        position = np.array([0.2, -0.3])
        scale, noise = np.exp(position)
        covariance = np.exp(-0.5 * ((x[:, None] - x) / scale) ** 2) + (noise**2 + 1e-6) * np.eye(points)
        expected = stats.multivariate_normal(np.zeros(points), covariance).logpdf(y)
        expected += sum(stats.halfnorm.logpdf(np.exp(position)) + position)
        logp, gradient = compiled.logp_dlogp(position)
        assert logp == pytest.approx(expected, rel=1e-5)
        assert np.isfinite(gradient).all()


def test_a_model_is_recognised_with_shared_data_beside_lengths(model_cache):
    """A length comes from constants, which the key has: it does not hinder that a model is known before it is built."""

    def build():
        with pm.Model() as model:
            shift = pm.Data("shift", np.arange(4.0))
            mu = pm.Normal("mu")
            pm.Normal("y", pt.alloc(mu, 6), 1.0, observed=np.arange(6.0))
            pm.Normal("z", mu + shift, 1.0, observed=np.arange(4.0), shape=shift.shape)
        return model

    first, second = compile_model(build()), compile_model(build())
    assert (first.code.from_cache, second.code.from_cache) == (False, True)
    assert "recognise" in second.code.stages and "fingerprint" not in second.code.stages
    assert first.logp_dlogp([0.4])[0] == second.logp_dlogp([0.4])[0]


def test_compiling_leaves_fingerprints_as_they_were():
    before = fingerprint(from_pymc(gaussian_process(8)[0], None)).digest
    compile_model(gaussian_process(8)[0])
    assert fingerprint(from_pymc(gaussian_process(8)[0], None)).digest == before
