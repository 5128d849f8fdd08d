"""Starts of models that the usual jitter starts nowhere: found by looking further, or told what stands in the way."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

from nutmill import ModelError, compile_model, load, sample_numba
from nutmill.diagnosis.verdict import diagnose
from nutmill.native.origin import Guide

SEEDS = (1, 2)
SIGNAL = np.array([-2.0, -1.9, 0.1, 2.1])


def zero_outside(name, inside):
    pm.Potential(name, pt.switch(inside, 0.0, -np.inf))


def hidden_states(n=3):
    """A hidden Markov model without a single proper prior: what must hold is written as potentials."""
    with pm.Model() as model:
        moving = pm.Flat("moving", shape=(n, n - 1))
        centre = pm.Flat("centre", shape=n)
        width = pm.Flat("width")
        staying = 1.0 - moving.sum(axis=1)
        zero_outside("probabilities", moving > 0.0)
        zero_outside("rest", staying > 0.0)
        zero_outside("order", pt.diff(centre) > 0.0)
        zero_outside("positive", width > 0.0)
        step = pt.log(pt.concatenate([moving, staying[:, None]], axis=1))
        forward = -pt.log(float(n)) * pt.ones(n)
        for value in SIGNAL:
            forward = pt.logsumexp(forward[:, None] + step, axis=0) + pm.logp(pm.Normal.dist(centre, width), value)
        pm.Potential("signal", pt.logsumexp(forward))
    return model


def ordered():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, shape=9)
        zero_outside("order", pt.diff(x) > 0.0)
    return model


def bounded():
    with pm.Model() as model:
        top = pm.Uniform("top", 0.0, 100.0)
        pm.Uniform("y", 0.0, top, observed=[3.0, 95.0])
    return model


def shifted():
    with pm.Model() as model:
        first = pm.Flat("first")
        pm.Potential("y", pm.logp(pm.Gamma.dist(2.0, 1.0), np.array([-40.0, -38.5, -35.0]) - first).sum())
    return model


def walled():
    """Has a gradient wherever its log density is -inf: all values at once must go far."""
    with pm.Model() as model:
        x = pm.Flat("x", shape=20)
        pm.Potential("pull", -0.5 * (x - 60.0) ** 2)
        pm.Potential("wall", pt.log(pt.switch(pt.all(x > 50.0), 1.0, 0.0)))
    return model


def together():
    """Only its prior knows that all values go far together."""
    with pm.Model() as model:
        x = pm.MvNormal("x", np.zeros(8), 100.0**2 * np.ones((8, 8)) + 1e-2 * np.eye(8))
        zero_outside("far", pt.all(pt.abs(x) > 20.0) & pt.all(pt.abs(x - x[0]) < 1.0))
    return model


def nowhere():
    with pm.Model() as model:
        top = pm.Uniform("top", 0.0, 1.0)
        pm.Normal("other", 0.0, 1.0, shape=6)
        pm.Uniform("y", 0.0, top, observed=[0.1, 5.0])
    return model


@pytest.mark.parametrize("make", [hidden_states, ordered, bounded, shifted, walled, together])
def test_a_start_is_found_where_jitter_finds_none(make):
    compiled = compile_model(make())
    for seed in SEEDS:
        starts = compiled.starts(None, 2, seed, jitter=True)
        assert not np.array_equal(*starts)
        for start in starts:
            logp, gradient = compiled.logp_dlogp(start)
            assert np.isfinite(logp) and np.isfinite(gradient).all()
    # A matter of seed and chain alone.
    np.testing.assert_array_equal(compiled.starts(None, 2, SEEDS[-1], jitter=True, chain_ids=[1]), starts[1:])


def test_a_model_that_starts_far_away_samples():
    compiled = compile_model(shifted())
    result = sample_numba(compiled, draws=50, random_seed=4, progressbar=False, compute_convergence_checks=False)
    assert result["posterior"]["first"].values.max() < -40.0


def steep():
    """Counts with predictors in the hundreds: where jitter goes, their means have up to 400 digits."""
    dose = np.array([0.0, 10.0, 33.0, 100.0, 333.0, 1000.0])
    with pm.Model() as model:
        level, slope = pm.Normal("level", 0.0, 100.0), pm.Normal("slope", 0.0, 100.0)
        pm.Poisson("count", pt.exp(level + slope * dose), observed=[20, 16, 19, 26, 27, 55])
    return model


def test_chains_leave_where_no_step_is_short_enough():
    compiled = compile_model(steep())
    starts = compiled.starts(None, 4, 1, jitter=True)
    steepest = [np.abs(compiled.logp_dlogp(start)[1]).max() for start in starts]
    assert max(steepest) < 1e12 and len(np.unique(starts)) == starts.size
    result = sample_numba(compiled, draws=200, random_seed=1, progressbar=False, compute_convergence_checks=False)
    assert abs(result["posterior"]["slope"].values - 0.001).max() < 0.002
    given = {"level": 0.0, "slope": 0.5}  # whoever gives a start means it
    np.testing.assert_array_equal(compiled.starts(given, 1, 1, jitter=True), [[0.0, 0.5]])


def test_a_file_starts_where_its_model_does(tmp_path):
    compiled = compile_model(bounded())
    compiled.save(tmp_path / "model.nut")
    loaded = load(tmp_path / "model.nut")
    for seed in SEEDS:
        expected = compiled.starts(None, 2, seed, jitter=True)
        np.testing.assert_array_equal(loaded.starts(None, 2, seed, jitter=True), expected)


def wide():
    with pm.Model() as model:
        pm.Normal("x", 100.0, 3.0, shape=3)
        pm.HalfNormal("scale", 2.0)
    return model


def test_starts_from_the_prior_are_draws_from_it(tmp_path):
    compiled = compile_model(wide())
    options = {"jitter": True, "from_prior": True}
    starts = compiled.starts({"scale": 5.0}, 400, 1, **options)
    x = starts[:, :3]
    assert abs(x.mean() - 100.0) < 4 * 3.0 / np.sqrt(x.size) and abs(x.std() / 3.0 - 1.0) < 4 / np.sqrt(2 * x.size)
    assert (starts[:, 3] == np.log(5.0)).all()  # what is given stays
    np.testing.assert_array_equal(compiled.starts({"scale": 5.0}, 400, 1, chain_ids=[7], **options)[0], starts[7])
    compiled.save(tmp_path / "model.nut")
    with pytest.raises(ModelError, match='starts="prior" needs a PyMC model'):
        load(tmp_path / "model.nut").starts(None, 1, 1, **options)


def test_chains_from_the_prior_tell_of_modes_that_jitter_never_reaches():
    """Two modes, ten prior scales of jitter apart: by jitter all chains end in the nearer one, and nothing tells."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 10.0)
        pm.Potential("modes", pm.math.logaddexp(-((x - 1.0) ** 2) * 8, -((x + 15.0) ** 2) * 8 + 2.0))
    compiled = compile_model(model)
    run = {"draws": 200, "chains": 8, "random_seed": 2, "progressbar": False, "compute_convergence_checks": False}
    near = sample_numba(compiled, **run)
    apart = sample_numba(compiled, **run, starts="prior")
    assert (near["posterior"]["x"].values > 0).all() and near.attrs["starts"] == "jitter"
    assert {finding.kind for finding in diagnose(apart).findings} >= {"rhat"} and apart.attrs["starts"] == "prior"


def test_values_that_are_given_stay_where_they_are():
    compiled = compile_model(ordered())
    given = np.linspace(-1.0, 1.0, 9)
    np.testing.assert_array_equal(compiled.starts({"x": given}, 1, 5, jitter=True), given[None])
    with pytest.raises(ModelError, match=r"in 1 try\. At the unjittered start:\n +order +log density -inf"):
        compiled.starts({"x": given[::-1]}, 1, 5, jitter=True)


def test_what_stands_in_the_way_is_reported(tmp_path):
    compiled = compile_model(nowhere())
    with pytest.raises(ModelError) as caught:
        compiled.starts(None, 1, 6, jitter=True)
    message = str(caught.value)
    assert "No start with finite log density and gradient was found for chain 0 in 1" in message
    assert "\n  y                              log density -inf\n  there top = 0.5\n" in message
    compiled.save(tmp_path / "model.nut")
    with pytest.raises(ModelError, match=r"there top = 0\.5, other = \[0, 0, 0, 0, \.\.\.\]\n"):
        load(tmp_path / "model.nut").starts(None, 1, 6, jitter=True)


@pytest.mark.parametrize(("n_operations", "most"), [(0, 4001), (2000, 102)])
def test_nobody_waits_for_a_start_that_costs_much_and_comes_no_nearer(monkeypatch, n_operations, most):
    """A mixture of many operations took minutes."""
    compiled, n_looks = compile_model(nowhere()), []
    guide = Guide(lambda pieces: n_looks.append(1) or 1, n_operations=n_operations)
    monkeypatch.setattr(compiled.origin, "guide", lambda arrays: guide)
    with pytest.raises(ModelError, match="No start"):
        compiled.starts(None, 1, 6, jitter=True)
    assert len(n_looks) == most


def test_conditions_and_operations_that_fail_are_reported():
    with pm.Model() as model:
        level = pm.Normal("level", shape=3)
        pm.Normal("scale", 0.0, -1.0)
        pm.Normal("y", level[np.array([0, 5])], 1.0, observed=[1.0, 2.0])
    with pytest.raises(ModelError) as caught:
        compile_model(model).starts(None, 1, 8, jitter=True)
    message = str(caught.value)
    assert "\n  scale                          not fulfilled: sigma > 0\n" in message
    assert "\n  y                              cannot be computed: index 5 is out of bounds" in message
    assert "there level = [0, 0, 0], scale = 0\n" in message


def test_other_data_are_what_is_reported(tmp_path):
    compiled = compile_model(bounded()).with_data(y=[3.0, 200.0])
    with pytest.raises(ModelError, match=r"\n  y +log density -inf\n  there top = 50\n"):
        compiled.starts(None, 1, 7, jitter=True)
