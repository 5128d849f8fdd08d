"""Log likelihoods of observations, computed natively: PyMC's values, also where PyMC does not know the data."""

import functools
import warnings

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import zoo
from artifacts import again
from pytensor.raise_op import Assert
from scipy import stats

from nutmill import ModelError, compile_model, sample_numba
from nutmill.native.compiled import from_bytes
from nutmill.results.trace import group
from nutmill.sampling.request import checked_request
from nutmill.sampling.space import needed_bytes

WITH = {"idata_kwargs": {"log_likelihood": True}, "progressbar": False, "compute_convergence_checks": False}
QUICK = {"draws": 3, "tune": 30, "chains": 2, "random_seed": 1, **WITH}


def pymc_s(model: pm.Model, result):
    """Log likelihoods as PyMC computes them, by PyTensor's interpreter."""
    given = {"compile_kwargs": {"mode": "FAST_COMPILE"}, "progressbar": False, "extend_inferencedata": False}
    return pm.compute_log_likelihood(result, model=model, **given)


def assert_pymc_s(result, model: pm.Model) -> None:
    found, expected = group(result, "log_likelihood"), pymc_s(model, result)
    assert set(found.data_vars) == set(expected.data_vars) == {rv.name for rv in model.observed_RVs}
    for name, values in expected.data_vars.items():
        assert found[name].dims == values.dims
        np.testing.assert_allclose(found[name].values, values.values, rtol=1e-10, atol=1e-10)


CHEAP, OTHERS = ("regression", "mixture", "imputed", "scan"), ("covariance", "gaussian_process", "counts", "cut_off")


@pytest.mark.parametrize("name", [*CHEAP, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_values_are_pymc_s(name):
    """Several observed variables, dims, vectors, mixtures, censoring, truncation, imputed values, a scan."""
    assert_pymc_s(sample_numba(zoo.compiled(name), **QUICK), getattr(zoo, name)())


def test_values_after_with_data():
    """The pm.Model has the old data still, and must be told of the new ones for PyMC to compute the same."""
    rng = np.random.default_rng(3)
    arrays = {"x": rng.normal(size=(7, 2)), "group_of_row": rng.integers(0, 3, 7), "y_data": rng.normal(size=7)}
    coords = {"row": np.arange(7) + 100}
    result = sample_numba(zoo.compiled("regression").with_data(**arrays, coords=coords), **QUICK)
    model = zoo.regression()
    with model:
        pm.set_data(arrays, coords=coords)
    assert_pymc_s(result, model)
    assert list(group(result, "log_likelihood")["row"].values) == list(coords["row"])


def test_a_vector_that_is_one_observation_has_no_dimension_of_its_own():
    with pm.Model(coords={"row": range(4), "column": ["u", "v"]}) as model:
        mu = pm.Normal("mu", 0.0, 1.0, dims="column")
        pm.MvNormal("y", mu, np.eye(2), observed=np.ones((4, 2)), dims=("row", "column"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = sample_numba(model, **QUICK)
    assert group(result, "log_likelihood")["y"].dims == ("chain", "draw", "row")
    assert_pymc_s(result, model)


@functools.cache
def started():
    """A model that PyMC does not compute log likelihoods of: it has an initial value of its own, and a potential."""
    with pm.Model() as model:
        x = pm.HalfNormal("x", 1.0, initval=3.0)
        pm.Potential("tie", -x)
        pm.Normal("y", pm.Deterministic("twice", 2.0 * x), 1.0, observed=[0.5, 1.5])
    return compile_model(model)


def by_hand(result) -> np.ndarray:
    return stats.norm(2.0 * group(result, "posterior")["x"].values[..., None], 1.0).logpdf([0.5, 1.5])


def test_models_that_pymc_refuses():
    result = sample_numba(started(), **QUICK)
    np.testing.assert_allclose(group(result, "log_likelihood")["y"].values, by_hand(result), rtol=1e-12)
    assert list(group(result, "log_likelihood").data_vars) == ["y"]  # a potential is no observation


def test_free_variables_that_are_not_reported():
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("x"), 1.0, observed=[0.5, 1.5])
        pm.Normal("z")
    result = sample_numba(model, var_names=["z"], **QUICK)
    assert group(result, "log_likelihood")["y"].shape == (2, 3, 2)


def test_a_model_that_is_undefined_at_zero():
    """Shapes are asked for where the model is defined."""
    with pm.Model() as model:
        x = pm.Normal("x", 2.0, 0.01)
        checked = Assert("x must be above one")(x, x > 1.0)
        pm.Normal("y", checked, 1.0, observed=[0.5, 1.5])
    assert np.isfinite(group(sample_numba(model, jitter=False, **QUICK), "log_likelihood")["y"].values).all()


def test_saved_models():
    """The file holds the code if it is asked for, and then needs no PyMC for other data either."""
    with pytest.raises(ModelError, match="saved without its log_likelihood: save it with log_likelihood=True"):
        sample_numba(again(started()), **QUICK)
    loaded = from_bytes(started().to_bytes(log_likelihood=True))
    for found, expected in ((loaded, started()), (loaded.with_data(y=[1.0]), started().with_data(y=[1.0]))):
        values, others = (group(sample_numba(m, **QUICK), "log_likelihood")["y"].values for m in (found, expected))
        np.testing.assert_array_equal(values, others)
    assert loaded.to_bytes(log_likelihood=True) == started().to_bytes(log_likelihood=True)


def test_what_has_no_log_likelihood_is_refused_before_a_draw_is_made(monkeypatch):
    monkeypatch.delattr("nutmill.sampling.session.drive")
    with pytest.raises(ModelError, match=r"^The model has no observed variables, so it has no log_likelihood: leave"):
        sample_numba(zoo.compiled("transforms"), **QUICK)
    with pytest.raises(ModelError, match=r"^log_likelihood is that of a pm\.Model, and this model is none"):
        sample_numba(compile_model(-0.5 * pt.dscalar("x") ** 2), **QUICK)


def test_memory_that_it_takes_is_counted():
    request = checked_request(draws=10, chains=1)
    plain = needed_bytes(started(), request)
    more = needed_bytes(started(), request._replace(result=request.result | {"log_likelihood": True}))
    assert more - plain == 10 * 2 * 8
