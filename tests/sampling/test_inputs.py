"""Bad input: one clear sentence each, and nothing left behind."""

import gc
import re
import threading
import warnings

import numba
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import zoo
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from nutmill import ArgumentError, ModelError, SamplingError, compile_model, sample_numba
from nutmill.model import build as model_compile

QUICK = {"draws": 20, "tune": 50, "chains": 1, "progressbar": False, "compute_convergence_checks": False}


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """Threads, locks and warning filters are after each test as they were before."""
    threads, filters = set(threading.enumerate()), list(warnings.filters)
    yield
    assert set(threading.enumerate()) <= threads
    assert warnings.filters == filters
    assert not model_compile.COMPILING._is_owned()


def one_normal(**kwargs) -> pm.Model:
    with pm.Model(**kwargs) as model:
        pm.Normal("x", 0.0, 1.0)
    return model


def refused(pattern: str, error=ModelError):
    """Expect one sentence, or a sentence and a table, that matches."""
    return pytest.raises(error, match=pattern)


def test_no_model_is_one_sentence():
    with refused("There is no model: pass a pm.Model, or call this in"):
        sample_numba(**QUICK)


def test_something_that_is_no_model_is_refused():
    with refused("pm.Model", ArgumentError):
        sample_numba(3.0, **QUICK)


def test_a_model_without_free_variables_is_refused():
    with pm.Model() as model:
        pm.Normal("y", 0.0, 1.0, observed=[1.0, 2.0])
    with refused("no free variables, so there is nothing to sample"):
        sample_numba(model, **QUICK)


def test_discrete_variables_are_named():
    with pm.Model() as model:
        pm.Normal("x", pm.Poisson("count", 3.0), 1.0)
        pm.Bernoulli("coin", 0.5)
    with refused("discrete variables: count, coin. Marginalise them out"):
        sample_numba(model, **QUICK)


@pytest.mark.parametrize("name", ["chain", "draw"])
def test_names_of_arviz_dimensions(name):
    with pm.Model() as model:
        pm.Normal(name, 0.0, 1.0)
    with refused(f"A variable may not be called {name}: ArviZ has a dimension of this name"):
        sample_numba(model, **QUICK)


def test_nan_in_observed_data_is_refused():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Normal("y", x, 1.0, observed=pm.Data("y_data", [1.0, 0.0, 2.0]))
    model["y_data"].set_value(np.array([1.0, np.nan, 2.0]))  # pm.Data itself refuses NaN, this does not
    with refused(r"Observed data of y_data are NaN, first at \(1,\)"):
        sample_numba(model, **QUICK)


def above_zero(mu, size):
    return pt.exp(pm.Normal.dist(mu, 1.0, size=size))


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        (lambda: pm.LogitNormal("p", 0.0, 1.0), "p lies between 0 and 1, .*: give it .*logodds"),
        (lambda: pm.CustomDist("p", 0.0, dist=above_zero), "p lies above 0, .*: give it .*transforms.log"),
        (lambda: pm.Uniform("p", default_transform=None), "p is sampled without .*: leave out default_transform"),
        (lambda: pm.LogitNormal("p", 0.0, 1.0, transform=pm.distributions.transforms.logodds), None),
        (lambda: pm.CustomDist("p", 0.0, dist=above_zero, transform=pm.distributions.transforms.log), None),
        (lambda: pm.MvNormal("p", np.zeros(2), np.eye(2)), None),
        (lambda: pm.GaussianRandomWalk("p", 0.0, 1.0, init_dist=pm.Normal.dist(), steps=2), None),
    ],
)
def test_variables_that_chains_can_leave_are_named(caplog, variable, sentence):
    with pm.Model() as model:
        variable()
    compile_model(model)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == (sentence is not None)
    assert sentence is None or re.match(sentence, said[0])


def test_shapes_that_change_with_the_parameters_are_refused():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, shape=5)
        pm.Deterministic("positive", x[x > 0])
    with refused("shape of positive changes with the parameters"):
        sample_numba(model, **QUICK)
    assert "x" in compile_model(model, var_names=["x"]).expand(np.zeros((1, 5)))


@pytest.mark.parametrize(
    ("arrays", "pattern"),
    [
        ({"z": np.zeros(3)}, "no data called z. Data that can be replaced: group_of_row, x, y_data"),
        ({"x": np.zeros(10)}, r"x has rank 2; the new array has rank 1 \(shape \(10,\)\)"),
        ({"group_of_row": np.zeros(10)}, "group_of_row is int.* and the new array is float64"),
        ({"x": np.full((10, 2), "a")}, "x is float64 and the new array is <U1"),
        ({"x": np.zeros((10, 2), complex)}, "x is float64 and the new array is complex128"),
        ({"x": np.zeros((7, 2))}, "dimension row now has length 7, but group_of_row still has 10"),
        ({"x": np.zeros((7, 2)), "group_of_row": np.zeros(8, int)}, "dimension row would have length 7 and"),
        ({"y_data": np.full(10, np.nan)}, r"Observed data of y_data are NaN, first at \(0,\)"),
        (
            {"group_of_row": np.full(10, 3)},
            "cannot be evaluated with these data.*group_of_row has the index 3, and what it indexes has length",
        ),
        ({"coords": {"row": list("abc")}}, "dimension row now has length 3, but group_of_row still has 10"),
        ({"coords": {"city": ["a"]}}, "no dimension called city"),
    ],
)
def test_new_data_that_do_not_fit_are_refused(arrays, pattern):
    before = zoo.compiled("regression")
    q = np.linspace(-1.0, 1.0, before.n_dim)
    value = before.logp_dlogp(q)[0]
    with refused(pattern):
        before.with_data(**arrays)
    assert before.logp_dlogp(q)[0] == value


def test_a_position_of_wrong_length_is_refused():
    with refused(r"must have shape \(6,\), not \(2,\)", ArgumentError):
        zoo.compiled("regression").logp_dlogp(np.zeros(2))


class _Python(Op):
    """Identity with a gradient, in Python; what `perform` does is up to the test."""

    __props__ = ("fails",)

    def __init__(self, fails=False):
        self.fails = fails

    def make_node(self, x):
        x = pt.as_tensor(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0].copy()

    def L_op(self, inputs, outputs, gradients):
        return [pytensor.gradient.disconnected_type() if self.fails else gradients[0]]

    pullback = L_op


def test_op_in_python_is_named_and_works():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Potential("tie", -(_Python()(x) ** 2))
    with pytest.warns(UserWarning, match="_Python.* has no native implementation and runs in Python"):
        compiled = compile_model(model)
    assert not compiled.code.fused
    lp, gradient = compiled.logp_dlogp(np.array([0.7]))
    assert lp == pytest.approx(-1.5 * 0.49 - 0.5 * np.log(2 * np.pi))
    assert gradient == pytest.approx([-2.1])
    draws = sample_numba(compiled, **QUICK | {"chains": 2, "cores": 2}, random_seed=1)
    assert np.isfinite(draws["posterior"]["x"].values).all()


def test_an_op_without_a_gradient_is_named():
    class NoGradient(Op):
        itypes, otypes = [pt.dscalar], [pt.dscalar]

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0]

    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Potential("tie", NoGradient()(x))
    with refused("has no gradient, which NUTS needs.*NoGradient"):
        compile_model(model)


@pytest.mark.usefixtures("compiled_anew")
def test_compile_that_fails_half_way_leaves_a_working_compiler(monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(model_compile, "link_model", fail)
        compile_model(one_normal())
    gc.collect()
    assert compile_model(one_normal()).logp_dlogp(np.array([1.0]))[1] == pytest.approx([-1.0])


def test_start_that_fails_names_the_variables():
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.HalfNormal("scale", 1.0)
        pm.Potential("wall", pt.switch(mu**2 < -1.0, 0.0, -np.inf))
    with pytest.raises(ModelError) as caught:
        sample_numba(model, **QUICK)
    message = str(caught.value)
    assert "No start with finite log density and gradient was found for chain 0" in message
    assert "wall" in message and "log density -inf" in message
    assert "scale" not in message and "there mu = 0\n" in message


def test_density_that_nothing_can_step_in():
    @numba.njit
    def cliff(q, gradient, data):
        gradient[0] = 0.0
        return 0.0 if q[0] == 0.0 else -np.inf

    with pytest.raises(SamplingError, match="Chain 0 cannot start: no step size"):
        sample_numba(compile_model(cliff, n_dim=1), **QUICK, jitter=False)


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda: pt.dvector("x"), "must be a scalar|shape of the input x is open"),
        (lambda: pt.as_tensor(1.0) * 2.0, "no inputs, so there is nothing to sample"),
        (lambda: pt.dscalar() ** 2, "needs a name"),
        (lambda: pt.iscalar("n") * 1.0, "The input n is int32; NUTS needs floating point"),
        (lambda: (pt.dvector("x") ** 2).sum(), "shape of the input x is open: pass start="),
        (lambda: pt.dvector("x", shape=(3,)) ** 2, "must be a scalar, not an array of rank 1"),
    ],
)
def test_pytensor_graphs(make, pattern):
    with refused(pattern):
        compile_model(make())


def test_two_inputs_of_one_name_are_refused():
    with refused("two inputs called x"):
        compile_model(pt.dscalar("x") * pt.dscalar("x"))


def test_an_njit_density_without_its_dimension_is_refused():
    density = numba.njit(lambda q, gradient, data: 0.0)
    with refused("needs n_dim="):
        compile_model(density)
    with refused("n_dim must be the number of values", ArgumentError):
        compile_model(density, n_dim=0)


def test_values_that_do_not_fit_their_parameters_are_told_with_all_shapes():
    with pm.Model() as model:
        level = pm.Normal("level", shape=3)
        pm.Normal("y", level, observed=np.zeros(4))
    with pytest.raises(ModelError, match=r"density cannot be written \(level \(3,\), y \(4,\)\): .*shapes"):
        sample_numba(model)
