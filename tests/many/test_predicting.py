"""Observations that are left out: they count nothing in the density, whatever they are, and are predicted exactly."""

import numpy as np
import pymc as pm
import pytest
from model.inlining import INTERPRETED
from scipy.special import logsumexp

import nutmill
from nutmill import ArgumentError, ModelError
from nutmill.many import predicting
from nutmill.many.predicting import log_densities, observations

RNG = np.random.default_rng(8)


def groups():
    """Effects of groups, by a plain array: nothing of the model could be cut."""
    with pm.Model() as model:
        mu, tau = pm.Normal("mu"), pm.HalfNormal("tau")
        effect = pm.Normal("effect", mu, tau, shape=3)
        pm.Normal("y", effect[np.arange(12) % 3], 1, observed=RNG.normal(size=12))
    return model


def walk():
    """A latent value for each observation."""
    with pm.Model(coords={"week": range(6)}) as model:
        level = pm.GaussianRandomWalk("level", sigma=0.5, init_dist=pm.Normal.dist(), dims="week")
        pm.Poisson("y", pm.math.exp(level), observed=[1, 0, 2, 3, 1, 4], dims="week")
    return model


def vectors():
    """Each observation is a vector of two."""
    with pm.Model() as model:
        mu = pm.Normal("mu", shape=2)
        pm.MvNormal("y", mu, np.eye(2), observed=RNG.normal(size=(4, 2)))
    return model


def table():
    with pm.Model() as model:
        mu = pm.Normal("mu", shape=(3, 1))
        pm.Normal("y", mu, 1, observed=RNG.normal(size=(3, 4)))
    return model


def two():
    """The second variable is of another kind."""
    with pm.Model() as model:
        p = pm.Beta("p", 1, 1)
        pm.Bernoulli("y", p, observed=[0, 1, 1, 0, 1])
        pm.Exponential("z", 1 + p, observed=[0.3, 2.0])
    return model


SLOW = [pytest.param(build, marks=pytest.mark.slow) for build in (vectors, table, two)]


@pytest.mark.parametrize("build", [groups, walk, *SLOW])
def test_the_density_lacks_what_is_left_out(build):
    model = build()
    observed = observations(model, "y", progressbar=False)
    position = 0.3 * RNG.normal(size=observed.compiled.n_dim)
    whole = float(model.compile_logp(mode=INTERPRETED)(observed.compiled.split(position)))
    likelihood = observed.compiled.log_likelihood(position[None])["y"][0]
    assert likelihood.shape == observed.shape
    assert observed.compiled.logp_dlogp(position)[0] == pytest.approx(whole, rel=1e-12)
    is_fitted = np.ones(observed.size, bool)
    is_fitted[[0, 3]] = False
    without = observed.compiled.with_data(is_fitted_y=is_fitted.reshape(observed.shape))
    expected = whole - likelihood.ravel()[[0, 3]].sum()
    assert without.logp_dlogp(position)[0] == pytest.approx(expected, rel=1e-12)
    numeric = [
        (without.logp_dlogp(position + step)[0] - without.logp_dlogp(position - step)[0]) / 2e-6
        for step in 1e-6 * np.eye(len(position))
    ]
    np.testing.assert_allclose(without.logp_dlogp(position)[1], numeric, rtol=1e-5, atol=1e-6)


def test_what_is_impossible_counts_nothing_either():
    with pm.Model() as model:
        top = pm.HalfNormal("top", 5)
        pm.Uniform("y", 0, top, observed=[1.0, 2.0, 9.0])
    compiled = nutmill.compile_model(model, leave_out=True).with_data(is_fitted_y=[True, True, False])
    at = np.log([3.0])  # where the last one has no density
    logp, gradient = compiled.logp_dlogp(at)
    half_normal = 0.5 * np.log(2 / np.pi) - np.log(5) - 0.5 * (3 / 5) ** 2 + np.log(3.0)
    assert logp == pytest.approx(half_normal - 2 * np.log(3.0), rel=1e-7)
    assert gradient == pytest.approx([1.0 - (3 / 5) ** 2 - 2.0], rel=1e-7)


def test_blocks_do_not_matter(monkeypatch):
    observed = observations(groups(), None, progressbar=False)
    draws = RNG.normal(size=(2, 50, observed.compiled.n_dim))
    likelihood = observed.compiled.log_likelihood(draws)["y"].reshape(100, 12)
    wanted = [np.array([3]), np.array([0, 5, 7]), np.arange(12)]
    expected = [logsumexp(likelihood[:, each].sum(axis=1)) - np.log(100) for each in wanted]
    for n_bytes in (1, 8 * 12 * 7, 1 << 24):
        monkeypatch.setattr(predicting, "BLOCK_BYTES", n_bytes)
        found = log_densities(observed, draws, wanted)
        np.testing.assert_allclose(found.value, expected, rtol=1e-12)
        density = np.exp(likelihood[:, wanted[1]].sum(axis=1))
        assert found.mcse[1] == pytest.approx(density.std() / density.mean() / 10, rel=1e-9)


def test_what_no_draw_allows_is_minus_infinity():
    with pm.Model() as model:
        top = pm.HalfNormal("top", 5)
        pm.Uniform("y", 0, top, observed=[1.0, 9.0])
    observed = observations(model, None, progressbar=False)
    draws = np.log([[[3.0], [4.0], [20.0]]])
    found = log_densities(observed, draws, [np.array([0]), np.array([1])])
    np.testing.assert_allclose(found.value, np.log([(1 / 3 + 1 / 4 + 1 / 20) / 3, 1 / 60]), rtol=1e-12)
    assert log_densities(observed, draws[:, :2], [np.array([1])]).value.tolist() == [-np.inf]


def nothing():
    with pm.Model() as model:
        pm.Normal("x")
    return model


WRONG = {
    "nothing": (nothing, None, ModelError, "observes nothing"),
    "several": (two, None, ArgumentError, "observes y, z: var_name= must say"),
    "strange": (two, "x", ArgumentError, "observes no 'x': var_name= may be y, z"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_left_out_is_refused(wrong):
    build, name, error, said = WRONG[wrong]
    with pytest.raises(error, match=said):
        observations(build(), name, progressbar=False)


def test_a_model_that_was_compiled_in_another_way_is_refused():
    with pytest.raises(ArgumentError, match="compile it with leave_out=True"):
        observations(nutmill.compile_model(two()), None, progressbar=False)


def test_only_models_of_pymc_leave_out():
    with pytest.raises(ModelError, match="tells observations apart"):
        nutmill.compile_model(pm.math.log(pm.math.exp(pm.Normal.dist())), leave_out=True)
