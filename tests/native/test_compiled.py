"""`CompiledModel`: new data without a compile, what is hoisted, other forms of models, several threads."""

import threading

import numba
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import zoo
from assertions import assert_mean_and_variance
from pytensor.raise_op import Assert
from scipy import stats
from scipy.special import gammaln

from nutmill import compile_model, sample_numba

QUIET = {"progressbar": False, "compute_convergence_checks": False}


def poisson(y) -> pm.Model:
    """Counts whose normalising constant depends on data alone."""
    with pm.Model() as model:
        rate = pm.Gamma("rate", 2.0, 1.0)
        pm.Poisson("y", rate, observed=y)
    return model


def poisson_logp(q: float, y: np.ndarray) -> float:
    rate = np.exp(q)
    return stats.gamma(2.0).logpdf(rate) + q + stats.poisson(rate).logpmf(y).sum()


@pytest.fixture(scope="module")
def counts():
    return compile_model(poisson(np.array([3, 1, 4, 1, 5])))


def new_regression_data(n_rows: int, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(n_rows, 2)),
        "group_of_row": rng.integers(0, 3, n_rows),
        "y_data": rng.normal(size=n_rows),
    }


def test_what_depends_on_data_alone_is_prepared(counts):
    """The factorials of the counts are in the record, not in the gradient."""
    assert counts.code.n_prepared >= 1
    arrays = counts.binding.record.arrays
    factorials = gammaln(np.array([3, 1, 4, 1, 5]) + 1.0)
    prepared = np.concatenate([np.ravel(array) for array in arrays[-counts.code.n_prepared :]])
    assert any(
        np.isclose(abs(value), abs(term)) for term in (*factorials[[0, 2, 4]], factorials.sum()) for value in prepared
    )
    assert counts.logp_dlogp(np.array([0.3]))[0] == pytest.approx(poisson_logp(0.3, np.array([3, 1, 4, 1, 5])))


@pytest.mark.parametrize("n", [1, 5, 2000])
def test_observations_of_any_number_without_a_compile(counts, n):
    y = np.random.default_rng(n).poisson(3.0, n)
    other = counts.with_data(y=y)
    assert other.code is counts.code
    assert other.logp_dlogp(np.array([0.3]))[0] == pytest.approx(poisson_logp(0.3, y), rel=1e-12)


def test_new_data_equal_a_new_model():
    """Values, lengths and labels: the old code with new data is the same density as a model made of them."""
    before = zoo.compiled("regression")
    arrays = new_regression_data(17, seed=5)
    after = before.with_data(**arrays, coords={"row": np.arange(17) + 100})
    model = zoo.regression()
    with model:
        pm.set_data(arrays, coords={"row": np.arange(17) + 100})
    fresh = compile_model(model)
    q = np.random.default_rng(6).normal(size=(4, before.n_dim))
    assert after.code is before.code
    for row in q:
        (value, gradient), (expected, expected_gradient) = after.logp_dlogp(row), fresh.logp_dlogp(row)
        assert value == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-11)
    np.testing.assert_allclose(after.expand(q)["mu"], fresh.expand(q)["mu"], rtol=1e-12)
    assert list(after.coords["row"]) == list(range(100, 117))


def test_the_model_bound_first_keeps_its_data():
    before = zoo.compiled("regression")
    q = np.linspace(-0.5, 0.5, before.n_dim)
    value = before.logp_dlogp(q)[0]
    after = before.with_data(**new_regression_data(3, seed=7))
    assert after.logp_dlogp(q)[0] != value
    assert before.logp_dlogp(q)[0] == value
    again = after.with_data(
        **{a.name: a.value for a in before.description.arrays if a.name in ("x", "group_of_row", "y_data")}
    )
    assert again.logp_dlogp(q)[0] == value


def test_a_dimension_of_parameters_may_grow():
    before = zoo.compiled("regression")
    arrays = new_regression_data(20, seed=8) | {"group_of_row": np.arange(20) % 5}
    after = before.with_data(**arrays, coords={"group": list("abcde")})
    assert (before.n_dim, after.n_dim) == (6, 8)
    values = after.expand(np.zeros((1, 8)))
    assert values["level"].shape == (1, 5) and values["mu"].shape == (1, 20)
    result = sample_numba(after, draws=20, tune=60, chains=1, **QUIET)
    assert list(result["posterior"]["group"].values) == list("abcde")
    assert result["constant_data"]["x"].shape == (20, 2)


def test_report_names_parameters_data_and_costs():
    report = zoo.compiled("regression").report()
    for piece in (
        "6 unconstrained values, in a native object",
        "parameter sigma_log__ ()",
        "data      x (10, 2) float64",
        "CPU s",
    ):
        assert piece in report


def test_dims_are_those_of_the_model():
    compiled = zoo.compiled("regression")
    assert compiled.dims == {"level": ("group",), "beta": ("column",), "mu": ("row",)}
    assert list(compiled.coords["group"]) == ["a", "b", "c"]


def test_var_names_choose_what_is_reported():
    compiled = compile_model(zoo.regression(), var_names=["sigma"])
    assert list(compiled.expand(np.zeros((1, 6)))) == ["sigma"]


def test_a_failing_operation_is_minus_infinity():
    """What raises in Python is a divergence in native code, no exception."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Potential("tie", Assert("x must stay below one")(x, x < 1.0))
    compiled = compile_model(model)
    assert compiled.logp_dlogp(np.array([0.5]))[0] == pytest.approx(stats.norm.logpdf(0.5) + 0.5)
    assert compiled.logp_dlogp(np.array([2.0]))[0] == -np.inf
    drawn = sample_numba(compiled, draws=200, tune=200, chains=1, jitter=False, random_seed=1, **QUIET)
    assert (drawn["posterior"]["x"] < 1.0).all() and drawn["sample_stats"]["diverging"].any()


@pytest.mark.slow
def test_a_matrix_that_is_not_positive_definite_is_minus_infinity():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        covariance = pt.stacklists([[1.0, x], [x, 1.0]])
        pm.Potential("tie", pt.log(pt.diagonal(pt.linalg.cholesky(covariance))).sum())
    compiled = compile_model(model)
    value, gradient = compiled.logp_dlogp(np.array([0.5]))
    assert value == pytest.approx(stats.norm.logpdf(0.5) + 0.5 * np.log(0.75))
    assert gradient == pytest.approx([-0.5 - 0.5 / 0.75])
    assert not np.isfinite(compiled.logp_dlogp(np.array([2.0]))[0])


@pytest.mark.usefixtures("compiled_anew")
def test_two_models_compiled_in_two_threads():
    y = {"a": np.array([1, 2, 3]), "b": np.array([4, 5])}
    compiled, errors = {}, []

    def build(name):
        try:
            compiled[name] = compile_model(poisson(y[name]))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=build, args=(name,)) for name in y]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for name, values in y.items():
        assert compiled[name].logp_dlogp(np.array([0.3]))[0] == pytest.approx(poisson_logp(0.3, values))


def test_a_pytensor_graph_is_compiled():
    """A scalar graph over named inputs; a shared variable with a name is data that can be replaced."""
    scale = pytensor.shared(np.array([1.0, 2.0, 4.0]), name="scale")
    x, z = pt.dvector("x", shape=(3,)), pt.dscalar("z")
    compiled = compile_model(-0.5 * ((x / scale) ** 2).sum() - 0.5 * (z - 1.0) ** 2)
    assert {p.name for p in compiled.description.parameters} == {"x", "z"} and compiled.n_dim == 4
    q = compiled.starts({"x": [1.0, 2.0, 4.0], "z": 0.0}, 1, 0, jitter=False)[0]
    value, gradient = compiled.logp_dlogp(q)
    assert value == pytest.approx(-2.0)
    pieces = compiled.split(gradient)
    np.testing.assert_allclose(pieces["x"], [-1.0, -0.5, -0.25])
    assert pieces["z"] == pytest.approx(1.0)
    assert compiled.with_data(scale=np.ones(3)).logp_dlogp(q)[0] == pytest.approx(-11.0)


@numba.njit
def line(q, gradient, data):
    """Log density of a normal regression through the origin with known noise."""
    x, y = data
    lp = 0.0
    gradient[0] = 0.0
    for i in range(len(x)):
        residual = y[i] - q[0] * x[i]
        lp -= 0.5 * residual**2
        gradient[0] += residual * x[i]
    return lp


def test_an_njit_density_is_compiled():
    x = np.linspace(0.0, 1.0, 50)
    y = 3.0 * x + 0.1 * np.random.default_rng(9).normal(size=50)
    compiled = compile_model(line, n_dim=1, data=(x, y))
    value, gradient = compiled.logp_dlogp(np.array([2.0]))
    residual = y - 2.0 * x
    assert value == pytest.approx(-0.5 * (residual**2).sum()) and gradient == pytest.approx([residual @ x])
    result = sample_numba(compiled, draws=500, chains=4, random_seed=1, progressbar=False)
    posterior = result["posterior"]["q"].values[..., 0]
    mean, sd = x @ y / (x @ x), 1.0 / np.sqrt(x @ x)
    assert_mean_and_variance(posterior, mean, sd**2)
    shorter = compiled.with_data(data_0=x[:10], data_1=y[:10])
    assert shorter.logp_dlogp(np.array([2.0]))[0] == pytest.approx(-0.5 * (residual[:10] ** 2).sum())
