"""Operations that run in Python: one at a time, errors of theirs are points that are rejected, interrupts end a run."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from same_results import assert_same

from nutmill import ModelError, SamplingError, compile_model, sample_numba

QUICK = {"chains": 2, "cores": 2, "draws": 30, "tune": 40, "progressbar": False, "compute_convergence_checks": False}
DRAWN = ("posterior", "sample_stats")
TIMES = np.array([0.5, 1.0, 2.0])
AMOUNTS = np.array([[0.6, 0.3], [0.37, 0.37], [0.13, 0.27]])


class Watched(Op):
    """Gives what it gets, after doing what the test wants."""

    __props__ = ("name",)

    def __init__(self, name: str):
        self.name = name
        self.does = lambda x: None

    def make_node(self, x):
        x = pt.as_tensor(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        self.does(float(inputs[0]))
        outputs[0][0] = inputs[0].copy()

    def L_op(self, inputs, outputs, gradients):
        return [gradients[0]]

    pullback = L_op


IN_DENSITY, IN_REPORT, IN_OTHER = Watched("density"), Watched("report"), Watched("other")


def compiled_in_python(model: pm.Model):
    with pytest.warns(UserWarning, match=r"runs in Python, once a gradient, with one chain at a time"):
        return compile_model(model)


def a_normal(tie: Op):
    """N(0, 1), by way of one operation; another is reported."""
    with pm.Model() as model:
        x = pm.Flat("x", initval=0.25)
        pm.Potential("tie", -0.5 * tie(x) ** 2)
        pm.Deterministic("seen", IN_REPORT(x))
    return compiled_in_python(model)


@pytest.fixture(scope="module")
def normal():
    return a_normal(IN_DENSITY)


@pytest.fixture(scope="module")
def other():
    return a_normal(IN_OTHER)


@pytest.fixture(autouse=True)
def nothing_is_watched():
    yield
    for op in (IN_DENSITY, IN_REPORT, IN_OTHER):
        op.does = lambda x: None


@pytest.fixture(scope="module")
def decay():
    """A substance that decays into another, which decays too."""
    with pytensor.config.change_flags(linker="vm", cxx=""):  # compiling its function takes longer than the test
        solved = pm.ode.DifferentialEquation(
            func=lambda y, t, p: [-p[0] * y[0], p[0] * y[0] - p[1] * y[1]], times=TIMES, n_states=2, n_theta=2
        )
    with pm.Model() as model:
        rate = pm.LogNormal("rate", 0.0, 0.5, shape=2)
        pm.Normal("amount", solved(y0=[1.0, 0.0], theta=rate), 0.1, observed=AMOUNTS)
    return compiled_in_python(model)


def log_density_of_decay(log_rate):
    """By the closed form of the solution, up to a constant; for complex numbers too."""
    first, second = np.exp(log_rate)
    left = np.exp(-first * TIMES)
    made = first / (second - first) * (left - np.exp(-second * TIMES))
    missed = (AMOUNTS - np.stack([left, made], axis=1)) / 0.1
    return -0.5 * (log_rate**2).sum() / 0.25 - 0.5 * (missed**2).sum()


def test_density_and_gradient_of_a_differential_equation(decay):
    points = np.array([[0.1, -0.2], [-0.5, 0.4], [1.0, 0.3]])
    found = [decay.logp_dlogp(point) for point in points]
    expected = np.array([log_density_of_decay(point) for point in points])
    np.testing.assert_allclose(np.array([lp for lp, _ in found]) - found[0][0], expected - expected[0], rtol=1e-6)
    for point, (_, gradient) in zip(points, found, strict=True):
        by_steps = [log_density_of_decay(point + 1e-30j * unit).imag / 1e-30 for unit in np.eye(2)]
        np.testing.assert_allclose(gradient, by_steps, rtol=1e-5)


def test_two_chains_of_a_differential_equation_at_once(decay):
    drawn = sample_numba(decay, **QUICK | {"draws": 3, "tune": 3, "max_treedepth": 2}, random_seed=1)
    rates = drawn["posterior"]["rate"].values.reshape(-1, 2)
    expected = np.array([log_density_of_decay(np.log(rate)) for rate in rates])
    lp = drawn["sample_stats"]["lp"].values.ravel()
    np.testing.assert_allclose(lp - lp[0], expected - expected[0], rtol=1e-5, atol=1e-5)
    assert len(set(lp)) > 2


def test_chains_runs_and_models_take_turns(normal, other):
    inside, most = set(), 0

    def look(x):
        nonlocal most
        inside.add(threading.get_ident())
        most = max(most, len(inside))
        time.sleep(1e-5)  # lets the others have the GIL
        inside.discard(threading.get_ident())

    for op in (IN_DENSITY, IN_REPORT, IN_OTHER):
        op.does = look
    with ThreadPoolExecutor(4) as executor:
        runs = [executor.submit(sample_numba, model, **QUICK, random_seed=3) for model in (normal, normal, other)]
        point = executor.submit(lambda: [normal.logp_dlogp([x]) for x in np.linspace(-1.0, 1.0, 100)])
        expanded = [normal.expand(np.ones((100, 1)))["seen"] for _ in range(3)]
    assert most == 1
    assert_same(runs[0].result(), runs[1].result(), DRAWN)
    assert point.result()[0][0] == pytest.approx(-0.5)
    assert all((values == 1.0).all() for values in expanded)


def test_an_operation_may_evaluate_another_model(normal, other):
    IN_DENSITY.does = lambda x: other.logp_dlogp([x])
    assert normal.logp_dlogp([2.0])[0] == -2.0


def test_a_point_where_the_operation_raises_is_rejected(normal):
    def refuse(x):
        if x > 0.5:
            raise ValueError("no such dose")

    IN_DENSITY.does = refuse
    assert normal.logp_dlogp([1.0])[0] == -np.inf
    result = sample_numba(normal, **QUICK | {"draws": 200}, random_seed=4)
    assert result["posterior"]["x"].values.max() < 0.5
    assert result["sample_stats"]["diverging"].values.any()
    assert normal.logp_dlogp([0.0])[0] == 0.0


def test_an_operation_that_raises_at_every_start(normal):
    def refuse(x):
        raise ValueError("no such\ndose")

    IN_DENSITY.does = refuse
    # Of what an operation said a term shows the first line, the status all.
    sentence = (
        r"(?s)No start.*tie +cannot be computed: no such\n.*an operation of the model raised ValueError: no such dose"
    )
    with pytest.raises(ModelError, match=sentence) as caught:
        sample_numba(normal, **QUICK, random_seed=5)
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_operation_that_raises_everywhere_but_at_the_start(normal):
    start = normal.starts(None, 1, 6, jitter=True)[0]

    def refuse(x):
        if x != start[0]:
            raise ValueError("no such dose")

    IN_DENSITY.does = refuse
    with pytest.raises(
        SamplingError,
        match=r"Chain 0 cannot start: no step size.*; an operation of the model raised ValueError: no such dose",
    ):
        sample_numba(normal, **QUICK | {"chains": 1}, random_seed=6)


def test_draws_that_cannot_be_reported_are_nan(normal, caplog):
    def refuse(x):
        if x > 1.0:
            raise ArithmeticError

    IN_REPORT.does = refuse
    draws = np.linspace(-1.0, 2.0, 601)
    np.testing.assert_array_equal(normal.expand(draws[:, None])["seen"], np.where(draws > 1.0, np.nan, draws))
    assert "seen is NaN in 200 of 601 draws: an operation of the model raised ArithmeticError.\n" in caplog.text


@pytest.mark.parametrize("place", [0.0, 0.25], ids=["origin", "start"])
def test_shapes_are_known_where_the_operation_raises_at(place, normal):
    def refuse(x):
        if x == place:
            raise ZeroDivisionError

    IN_REPORT.does = refuse
    np.testing.assert_array_equal(normal.with_data().expand(np.ones((2, 1)))["seen"], [1.0, 1.0])


def test_an_interrupt_raised_by_an_operation_ends_the_run_as_a_signal_does(normal):
    options = {**QUICK, "draws": 2000, "random_seed": 7}
    calls = 0

    def interrupt_once(x):
        nonlocal calls
        calls += 1
        if calls == 1000:
            raise KeyboardInterrupt

    whole = sample_numba(normal, **options)
    IN_DENSITY.does = interrupt_once
    result = sample_numba(normal, **options)
    assert result.attrs["stopped_by"] == "SIGINT" and result.attrs["interrupted"] == 1
    drawn = result["posterior"]["x"].values
    assert drawn.shape[1] < 2000
    np.testing.assert_array_equal(drawn, whole["posterior"]["x"].values[:, : drawn.shape[1]])


def test_ctrl_c_while_an_operation_runs_for_the_main_thread(normal):
    IN_DENSITY.does = lambda x: os.kill(os.getpid(), signal.SIGINT)
    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            normal.logp_dlogp([0.5])
            time.sleep(1.0)  # an interrupt that comes when all is over is raised here
    IN_DENSITY.does = lambda x: None
    assert normal.logp_dlogp([1.0])[0] == -0.5


def test_an_njit_density_that_runs_python():
    def look(x):
        if x > 0.5:
            raise ValueError("no such dose")
        return 0.0

    @numba.njit
    def density(q, gradient, data):
        with numba.objmode(nothing="float64"):
            nothing = look(q[0])
        gradient[0] = -q[0]
        return nothing - 0.5 * q[0] ** 2

    with pytest.warns(UserWarning, match="looks something up in Python"):
        compiled = compile_model(density, n_dim=1)
    assert compiled.logp_dlogp([0.4])[0] == pytest.approx(-0.08)
    assert compiled.logp_dlogp([0.6])[0] == -np.inf
    result = sample_numba(compiled, **QUICK, random_seed=8)
    assert result["posterior"]["q"].values.max() < 0.5
