"""Data with gaps, masked or pandas' NA: never computed with, refused with the array's name and the place."""

import functools

import numba
import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
import zoo

from nutmill import ModelError, compile_model, sample_numba

MASKED = np.ma.masked_array([0.0, 1.0, 2.0, -9999.0], mask=[0, 0, 0, 1])
Y = [0.1, 1.1, 1.9, 3.2]


def line() -> pm.Model:
    with pm.Model() as model:
        slope = pm.Normal("slope", 0.0, 10.0)
        pm.Normal("y", slope * pm.Data("x", np.arange(4.0)), 1.0, observed=pm.Data("y_data", Y))
    return model


@functools.cache
def compiled():
    return compile_model(line())


def refused(pattern: str):
    return pytest.raises(ModelError, match=pattern)


@pytest.mark.parametrize("value", [MASKED, pd.Series([0, 1, 2, pd.NA], dtype="object"), [0.0, 1.0, 2.0, None]])
def test_gaps_in_new_data(value):
    with refused(r"^x is (masked|<NA>|None) at \(3,\): fill it in, or drop it\.$"):
        compiled().with_data(x=value)
    with refused(r"^y_data is (masked|<NA>|None) at \(3,\): drop this observation, or build the model anew with it m"):
        compiled().with_data(y_data=value)


def test_a_gap_in_rows_of_a_list():
    with refused(r"^x is masked at \(1, 0\)"):
        zoo.compiled("regression").with_data(x=[np.zeros(2), np.ma.masked_array([5.0, 0.0], [True, False])] * 5)


@pytest.mark.parametrize("value", [[0.0, 1.0, np.nan, 2.0], pd.Series([0, 1, None, 2], dtype="Int64")])
def test_nan_in_a_covariate(value):
    """What pandas' NA is to NumPy, too."""
    with refused(r"^x is NaN at \(2,\), and so is the log density: fill it in, or drop it\.$"):
        compiled().with_data(x=value)


def test_nan_in_a_covariate_when_a_model_is_sampled():
    """It is what stands first; the table below it has the variables whose log density is not finite."""
    model = line()
    model["x"].set_value(np.array([0.0, np.nan, 2.0, 3.0]))
    table = r"\n +y +log density nan\n +slope +gradient not finite\n"
    with refused(r"tries: x is NaN at \(1,\)\. At the unjittered start:" + table):
        sample_numba(compile_model(model), chains=1, draws=5, progressbar=False)


@pytest.mark.parametrize("name", ["x", "y_data"])
def test_inf_in_data(name):
    """It may be meant, as a bound that is none: it is told where no start is found."""
    other = compiled().with_data(**{name: [0.0, 1.0, np.inf, 2.0]})
    with refused(rf"tries: {name} is Inf at \(2,\)\. At the unjittered start:\n +y +log density (nan|-inf)\n"):
        sample_numba(other, chains=1, draws=5, progressbar=False)


def test_nan_that_the_model_knows_of():
    with pm.Model() as model:
        x = pm.Data("x", np.arange(4.0))
        slope = pm.Normal("slope", 0.0, 10.0)
        pm.Normal("y", slope * pm.math.switch(pt.isnan(x), 0.0, x), 1.0, observed=Y)
    other = compile_model(model).with_data(x=[0.0, np.nan, 2.0, 3.0])
    assert np.isfinite(other.logp_dlogp(np.zeros(1))[0])


def test_columns_that_could_have_gaps_and_have_none():
    """Masks of False, and pandas' nullable columns: the values are those of plain arrays."""
    q, new = np.array([0.7]), np.array([3.0, 1.0, 4.0, 1.0])
    expected = compiled().with_data(x=new).logp_dlogp(q)
    for value in (np.ma.masked_array(new, False), pd.Series(new, dtype="Float64"), pd.Series(new, dtype="Int64")):
        assert compiled().with_data(x=value).logp_dlogp(q) == expected


def test_gaps_that_set_data_has_masked(model_cache):
    """`pm.set_data` covers NaN with a mask, and PyMC computes with what lies beneath; known models too."""
    for name, value in (("x", MASKED), ("y_data", [0.0, 1.0, 2.0, np.nan])):
        model = line()
        compile_model(model)
        with model:
            pm.set_data({name: value})
        with refused(rf"^{name} is masked at \(3,\)"):
            compile_model(model)


def test_gaps_in_data_of_an_njit_density():
    density = numba.njit(lambda q, gradient, data: 0.0)
    with refused(r"^data is masked at \(3,\)"):
        compile_model(density, n_dim=1, data=MASKED)
    with refused(r"^data_1 is masked at \(3,\)"):
        compile_model(density, n_dim=1, data=(np.zeros(4), MASKED))
