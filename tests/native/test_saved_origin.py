"""Saved models compute starts, data and checks of indices as their graphs do, where no graph is."""

import functools

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from artifacts import again
from numpy.testing import assert_allclose, assert_array_equal
from saved import refused

from nutmill import ModelError, compile_model, sample_numba


@functools.cache
def hierarchy():
    """Variables whose usual values, and whose supports, depend on others, two levels deep."""
    with pm.Model(coords={"group": ["a", "b", "c"]}) as model:
        x = pm.Data("x", [1.0, 2.0, 6.0])
        mu = pm.Normal("mu", x.mean(), 1.0)
        tau = pm.HalfNormal("tau", 2.0)
        level = pm.Normal("level", mu + tau, tau, dims="group")
        low = pm.Normal("low", level.sum(), 1.0)
        pm.Uniform("between", low, low + 4.0)
        pm.Dirichlet("weights", np.array([1.0, 2.0, 3.0]))
        pm.Normal("y", level * x, tau, observed=np.zeros(3))
    return compile_model(model)


@functools.cache
def both():
    """The model, and what was loaded from its file."""
    return hierarchy(), again(hierarchy())


GIVEN = {
    "none": {},
    "top": {"mu": 1.5},
    "scale": {"tau": 3.0},
    "middle": {"level": [1.0, -2.0, 0.25]},
    "top and middle": {"mu": -1.0, "level": [0.0, 0.5, 1.0]},
    "low": {"low": 11.0},
    "bounded": {"between": 16.0},
    "bounded with its bound": {"low": 1.0, "between": 4.5},
    "simplex": {"weights": [0.2, 0.5, 0.3]},
    "all": {"mu": 1.0, "tau": 2.0, "level": [3, 2, 1], "low": 0.0, "between": 1.0, "weights": [0.1, 0.1, 0.8]},
    "parameter": {"tau_log__": 0.25},
    "pieces of a simplex": {"weights_simplex__": [0.5, -1.0]},
    "parameter and variable": {"tau_log__": -0.5, "mu": 3.0},
    "an integer": {"mu": 2},
    "an array of integers": {"level": np.array([1, 2, 3], dtype="int8")},
    "single precision": {"level": np.array([0.5, 2.0, 3.0], dtype="float32")},
}


@pytest.mark.parametrize("name", GIVEN)
def test_initvals_are_those_of_the_compiled_model(name):
    """Usual values of what depends on the given ones follow, as in PyMC; logarithms may round another way."""
    first, second = (model.starts(GIVEN[name], 2, 3, jitter=False) for model in both())
    assert_allclose(second, first, rtol=1e-14, atol=1e-14)
    if not GIVEN[name]:
        assert_array_equal(second, first)


def test_children_follow():
    """So the comparison above compares something: PyMC's own values, by hand."""
    loaded = both()[1]
    pieces = loaded.split(loaded.starts({"mu": 1.5, "tau": 1.0}, 1, 0, jitter=False)[0])
    assert pieces["level"].tolist() == [2.5, 2.5, 2.5] and pieces["low"] == 7.5
    pieces = loaded.split(loaded.starts({"low": 2.0, "between": 3.0}, 1, 0, jitter=False)[0])
    assert pieces["between_interval__"] == pytest.approx(np.log(1.0 / 3.0), rel=1e-14)


def test_parameters_of_bounds_that_move():
    """A value on the unconstrained scale is taken as it is, and what depends on its variable follows."""
    with pm.Model() as model:
        top = pm.HalfNormal("top", 1.0)
        inner = pm.Uniform("inner", 0.0, top)
        pm.Normal("leaf", inner, 1.0)
    loaded = again(compile_model(model))
    start = loaded.starts({"top": 4.0, "inner_interval__": 1.0}, 1, 0, jitter=False)[0]
    assert_allclose(start, [np.log(4.0), 1.0, 4.0 / (1.0 + np.exp(-1.0))], rtol=1e-14)


def test_initvals_of_each_chain():
    per_chain = [None, {"mu": 4.0}, {"level": [1.0, 2.0, 3.0]}]
    first, second = (model.starts(per_chain, 3, 3, jitter=True) for model in both())
    assert_allclose(second, first, rtol=1e-14)
    assert first[1][0] == 4.0


def test_initvals_with_other_data():
    first, second = (model.with_data(x=[0.0, 1.0, 5.0]) for model in both())
    for given in ({}, {"tau": 0.5}, {"low": 1.0}):
        assert_allclose(second.starts(given, 1, 0, jitter=False), first.starts(given, 1, 0, jitter=False), rtol=1e-14)
    assert second.split(second.starts({}, 1, 0, jitter=False)[0])["mu"] == 2.0


@pytest.mark.parametrize("i", [0, 1], ids=["compiled", "loaded"])
@pytest.mark.parametrize(
    ("given", "sentence"),
    {
        "unknown": ({"nu": 1.0}, "no such variable: nu. Free variables: mu, tau, level, low, between, weights"),
        "too long": ({"level": np.zeros(4)}, r"level.* shape \(4,\)"),
        "rank": ({"mu": np.zeros(2)}, r"mu.* shape \(2,\)"),
        "pieces": ({"weights_simplex__": np.zeros(3)}, r"weights.* shape \(3,\)"),
        "text": ({"mu": "large"}, "initvals do not fit their variables"),
        "outside": ({"tau": -1.0}, "initval of tau lies outside its support"),
        "beyond": ({"low": 0.0, "between": 5.0}, "initval of between lies outside its support"),
    }.values(),
)
def test_initvals_that_do_not_fit(i, given, sentence):
    with refused(sentence):
        both()[i].starts(given, 1, 0, jitter=False)


def loaded_and_random():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, initval="prior")
        pm.Normal("z", x, 1.0, initval="support_point")
    compiled = compile_model(model)
    return compiled, again(compiled)


def test_random_starts_are_those_of_seed_0():
    compiled, loaded = loaded_and_random()
    assert_array_equal(loaded.start_values(5), compiled.start_values(0))
    assert (np.array(compiled.start_values(5)) != compiled.start_values(0)).all()
    for given in ({"z": 1.0}, {"x": 2.0}):
        found, expected = (model.starts(given, 1, 0, jitter=False) for model in (loaded, compiled))
        assert_array_equal(found, expected)


def test_random_starts_that_hang_on_data():
    with pm.Model() as model:
        pm.Normal("x", pm.Data("centre", 3.0), 1.0, initval="prior")
    compiled = compile_model(model)
    loaded = again(compiled)
    assert_array_equal(loaded.start_values(), compiled.start_values())
    with refused("^The start of this model is random and depends on its data, so a file of it takes no other data"):
        loaded.with_data(centre=4.0)


def test_a_variable_without_support_point():
    """PyMC draws its start; the file keeps what it drew."""
    with pm.Model() as model:
        pm.CustomDist("x", logp=lambda value: -0.5 * value**2, random=lambda rng=None, size=None: rng.normal(size=size))
        pm.Normal("z", 0.0, 1.0)
    compiled = compile_model(model)
    assert_array_equal(again(compiled).start_values(), compiled.start_values())


def test_data_of_the_result_are_those_of_the_model():
    """Casts, halves of a masked array, and arrays that are shown under two names."""
    rng = np.random.default_rng(1)
    with pm.Model(coords={"row": range(6)}) as model:
        mu = pm.Normal("mu", 0.0, 1.0)
        counts = pm.Data("counts", rng.poisson(2.0, 6), dims="row")
        pm.Normal("y", mu, 1.0, observed=counts, dims="row")
        pm.Normal("z", mu, 1.0, observed=pt.as_tensor(counts) * 1.0)
        with np.testing.suppress_warnings() as quiet:
            quiet.filter(pm.exceptions.ImputationWarning)
            pm.Normal("holes", mu, 1.0, observed=np.ma.masked_invalid([0.5, np.nan, 2.0]))
    compiled = compile_model(model)
    for data in ({}, {"counts": np.arange(6)}):
        first, second = ((m.with_data(**data) if data else m) for m in (compiled, again(compiled)))
        shown = [model.origin.shown(model.description.values) for model in (first, second)]
        assert shown[0].keys() == shown[1].keys() and len(shown[0]) >= 2
        for name, values in shown[0].items():
            assert shown[1][name].dtype == values.dtype
            assert_array_equal(shown[1][name], values)


def test_new_data_are_refused_as_by_the_compiled_model():
    with pm.Model(coords={"row": range(4)}) as model:
        group = pm.Data("group", [0, 1, 2, 0], dims="row")
        x = pm.Data("x", np.ones((4, 2)), dims=("row", None))
        level = pm.Normal("level", 0.0, 1.0, shape=3)
        pm.Normal("y", level[group] + x.sum(axis=1), 1.0, observed=np.zeros(4), dims="row")
    compiled = compile_model(model)
    for bad in (
        {"group": [0, 1, 2, 3]},
        {"group": [0, -4, 2, 1]},
        {"group": [0, 1, 2]},
        {"group": [0.5, 1.0, 2.0, 0.0]},
        {"group": np.zeros((4, 1), int)},
        {"x": np.ones(4)},
        {"x": np.full((4, 2), "a")},
        {"y": [0.0, np.nan, 0.0, 0.0]},
        {"strange": 1.0},
        {"group": [0, 1], "x": np.ones((2, 2))},
        {"coords": {"column": [1]}},
        {"coords": {"row": [1, 2]}},
    ):
        sentences = []
        for one in (compiled, again(compiled)):
            with pytest.raises(ModelError) as error:
                one.with_data(**bad)
            sentences.append(str(error.value))
        assert sentences[0] == sentences[1] and "\n" not in sentences[0]


def test_narrow_data_stay_narrow():
    with pm.Model() as model:
        x = pm.Data("x", np.arange(4, dtype="int16"))
        w = pm.Data("w", np.ones(4, dtype="float32"))
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.Potential("p", -((mu - x * w) ** 2).sum())
    compiled = compile_model(model)
    loaded = again(compiled)
    assert [a.value.dtype for a in loaded.description.arrays] == [a.value.dtype for a in compiled.description.arrays]
    with refused("x is int.* and the new array is float64, which does not convert without loss"):
        loaded.with_data(x=np.ones(4))
    with refused("x is int.*, which does not hold 1099511627776: pass smaller numbers"):
        loaded.with_data(x=np.array([0, 2**40]))
    new = {"x": np.arange(6, dtype="int8"), "w": np.full(6, 0.5)}
    q = np.array([0.3])
    assert loaded.with_data(**new).logp_dlogp(q)[0] == compiled.with_data(**new).logp_dlogp(q)[0]


def test_a_start_outside_of_the_support_is_reported():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Potential("nowhere", pt.switch(x**2 < -1.0, 0.0, -np.inf))
    with refused("No start with finite log density and gradient was found for chain 0"):
        sample_numba(again(compile_model(model)), draws=5, tune=5, chains=1, progressbar=False)
