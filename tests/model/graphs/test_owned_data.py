"""Arrays that a model is made of are copied when it is compiled: what becomes of them later changes nothing."""

import numpy as np
import pymc as pm
import pytest
import zoo

from nutmill import ModelError, compile_model, sample_numba
from nutmill.results.trace import group

Q = np.array([0.3, 0.1, -0.2])


class Line:
    """A model whose covariate, indices, mask, prior and observations are the user's own arrays."""

    def __init__(self):
        self.arrays = {
            "covariate": np.arange(4.0),
            "index": np.array([0, 1, 0, 1]),
            "mask": np.array([True, False, True, True]),
            "prior": np.array([0.5, 1.5]),
            "one": np.array([2.0]),
            "observed": np.array([1.0, 2.0, 3.0]),
        }
        a = self.arrays
        with pm.Model() as self.model:
            level = pm.Normal("level", a["prior"], 1.0, shape=2)
            slope = pm.Normal("slope", 0.0, 1.0)
            line = pm.Deterministic("line", level[a["index"]] + slope * a["covariate"] * a["one"])
            pm.Normal("y", line[a["mask"]], 1.0, observed=a["observed"])

    def spoil(self) -> None:
        for array in self.arrays.values():
            array[:] = array[::-1] + (array.dtype == float)


def facts(compiled) -> list[np.ndarray]:
    lp, gradient = compiled.logp_dlogp(Q)
    return [np.array(lp), gradient, *compiled.start_values(), compiled.expand(Q[None])["line"]]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_arrays_changed_after_compiling():
    """Before data are bound, and after; the pm.Model itself keeps the user's arrays."""
    line, fresh = Line(), Line()
    compiled = compile_model(line.model)
    expected = facts(compile_model(fresh.model))
    line.spoil()
    assert_same(facts(compiled), expected)
    fresh.spoil()
    changed = compile_model(fresh.model)
    assert_same(facts(changed), facts(compile_model(line.model)))
    assert facts(changed)[0] != expected[0]
    for array in compiled.description.arrays:
        with pytest.raises(ValueError, match="read-only"):
            array.value[...] = 0


def test_arrays_changed_after_a_model_is_recognised(model_cache):
    first, second = Line(), Line()
    expected = facts(compile_model(first.model))
    compiled = compile_model(second.model)
    assert compiled.code.from_cache
    second.spoil()
    assert_same(facts(compiled), expected)
    with pytest.raises(ModelError, match="was changed after it was compiled"):  # what is built of it would differ
        _ = compiled.likelihood


def test_values_of_shared_variables_changed_in_place():
    with pm.Model() as model:
        x = pm.Data("x", np.arange(4.0))
        pm.Normal("y", pm.Normal("slope") * x, 1.0, observed=np.ones(4))
    compiled = compile_model(model)
    lp = compiled.logp_dlogp(Q[:1])[0]
    model["x"].get_value(borrow=True)[:] = 100.0
    assert compile_model(model).logp_dlogp(Q[:1])[0] != lp
    assert compiled.with_data(y=np.ones(4)).logp_dlogp(Q[:1])[0] == lp
    mine = np.arange(4.0)
    bound = compiled.with_data(x=mine)
    mine[:] = 100.0
    assert bound.logp_dlogp(Q[:1])[0] == lp


def test_data_of_a_result_are_no_data_of_the_model():
    compiled = zoo.compiled("regression")
    q = np.linspace(-0.5, 0.5, compiled.n_dim)
    lp = compiled.logp_dlogp(q)[0]
    result = sample_numba(compiled, draws=5, tune=20, chains=1, progressbar=False, compute_convergence_checks=False)
    group(result, "constant_data")["x"].values[:] = 100.0
    group(result, "observed_data")["y"].values[:] = 100.0
    assert compiled.logp_dlogp(q)[0] == lp
