"""Arithmetic on lengths of data is taken out of graphs: against PyTensor's own evaluation, in models and in files."""

from itertools import product

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from artifacts import again, rewritten
from model.inlining import INTERPRETED
from pytensor.graph.basic import Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.raise_op import Assert
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.type import bscalar, lscalar
from scipy import stats

from nutmill import ModelError, compile_model
from nutmill.model.build import density_outputs
from nutmill.model.graphs.arithmetic import Arithmetic
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.native.compiled import from_bytes
from nutmill.native.container import Damaged

BINARY = (
    *(pt.add, pt.mul, pt.sub, pt.minimum, pt.maximum, pt.int_div, pt.mod, pt.eq, pt.neq, pt.lt, pt.le, pt.gt, pt.ge),
    *(pt.and_, pt.or_, pt.xor),
)
UNARY = (pt.neg, pt.abs, pt.sign, pt.invert, lambda x: pt.cast(x, "int8"), lambda x: pt.cast(x, "bool"))


def expression(rng: np.random.Generator, leaves, depth: int):
    """Draw arithmetic at random."""
    if depth == 0:
        return leaves[rng.integers(len(leaves))]
    kind = rng.integers(8)
    if kind == 0:
        function = UNARY[rng.integers(len(UNARY))]
        operand = expression(rng, leaves, depth - 1)
        return function(pt.cast(operand, "int64") if operand.dtype == "bool" else operand)
    if kind == 1:
        return pt.switch(*(expression(rng, leaves, depth - 1) for _ in range(3)))
    operands = [pt.cast(expression(rng, leaves, depth - 1), "int64") for _ in range(2)]
    return BINARY[rng.integers(len(BINARY))](*operands)


@pytest.mark.parametrize("seed", range(8))
def test_random_arithmetic_is_what_pytensor_computes(seed):
    rng = np.random.default_rng(seed)
    data = [pt.dvector("x"), pt.lmatrix("y"), pt.lscalar("n")]
    leaves = [data[0].shape[0], data[1].shape[0], data[1].shape[1], data[2], pt.constant(3), pt.constant(-2)]
    wanted = [pt.cast(expression(rng, leaves, depth), "float64") for depth in (2, 3, 4, 5, 6)]
    expected = pytensor.function(data, wanted, mode=INTERPRETED, on_unused_input="ignore")
    fgraph = FunctionGraph(data, wanted, clone=True)
    rewrite_graph(fgraph, include=("ShapeOpt", "canonicalize"))
    arithmetic = Arithmetic(data)
    arithmetic.take_out(fgraph, dict(zip(fgraph.inputs, data, strict=False)))
    assert not fgraph.apply_nodes
    lengths = arithmetic.lengths(arithmetic.inputs)
    for n_x, n_y, n_z in product((0, 1, 4), (0, 2), (1, 3)):
        arrays = [np.zeros(n_x), np.zeros((n_y, n_z), int), np.array(rng.integers(-3, 4))]
        found = dict(zip(arithmetic.inputs, lengths.evaluate(arrays), strict=True))
        with np.errstate(all="ignore"):
            numbers = [float(v.data) if isinstance(v, Constant) else float(found[v]) for v in fgraph.outputs]
            assert numbers == list(map(float, expected(*arrays)))


def lags(y) -> pm.Model:
    """An autoregression by hand: three slices of one series."""
    with pm.Model() as model:
        series = pm.Data("series", y)
        b = pm.Normal("b", 0.0, 1.0, shape=2)
        sigma = pm.HalfNormal("sigma", 1.0)
        mean = b[0] * series[1:-1] + b[1] * series[:-2]
        pm.Potential("terms", pm.logp(pm.Normal.dist(mean, sigma), series[2:]).sum())
    return model


def lags_logp(position, y) -> float:
    b, sigma = position[:2], np.exp(position[2])
    prior = stats.norm.logpdf(b).sum() + stats.halfnorm.logpdf(sigma) + position[2]
    return prior + stats.norm(b[0] * y[1:-1] + b[1] * y[:-2], sigma).logpdf(y[2:]).sum()


def errors_one_by_one(y) -> pm.Model:
    """A loop over two slices of one series, cut to the shorter one, which begins with the first of it."""
    with pm.Model() as model:
        series = pm.Data("series", y)
        memory, moving = pm.Normal("memory", 0.0, 1.0), pm.Normal("moving", 0.0, 1.0)
        errors = pytensor.scan(
            lambda now, before, error, memory, moving: now - memory * before - moving * error,
            sequences=[series[3:], series[:-1]],
            outputs_info=[series[0]],
            non_sequences=[memory, moving],
            return_updates=False,
        )
        pm.Potential("terms", -0.5 * pt.sqr(errors).sum())
    return model


def errors_logp(position, y) -> float:
    error, total = y[0], stats.norm.logpdf(position).sum()
    for now, before in zip(y[3:], y[:-1], strict=False):
        error = now - position[0] * before - position[1] * error
        total -= 0.5 * error**2
    return total


def assert_density(compiled, logp, position) -> None:
    """The log density is that function, and the gradient its differences."""
    value, gradient = compiled.logp_dlogp(position)
    assert value == pytest.approx(logp(position), rel=1e-7)  # PyMC has constants in single precision
    for number, slope in enumerate(gradient):
        step = np.zeros(len(position))
        step[number] = 1e-5
        assert slope == pytest.approx((logp(position + step) - logp(position - step)) / 2e-5, rel=1e-6, abs=1e-6)


@pytest.fixture(scope="module")
def autoregression():
    return compile_model(lags(np.random.default_rng(0).normal(size=30)))


@pytest.fixture(scope="module")
def moving_average():
    return compile_model(errors_one_by_one(np.random.default_rng(0).normal(size=30)))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 200])
def test_slices_of_a_series_of_another_length(autoregression, n):
    """A series that is as short as the lag has no terms."""
    y = np.random.default_rng(n).normal(size=n)
    for compiled in (autoregression.with_data(series=y), again(autoregression).with_data(series=y)):
        assert_density(compiled, lambda q: lags_logp(q, y), np.array([0.3, -0.2, 0.1]))


@pytest.mark.parametrize("n", [1, 3, 4, 5, 100])
def test_a_loop_over_a_series_of_another_length(moving_average, n):
    y = np.random.default_rng(n).normal(size=n)
    for compiled in (moving_average.with_data(series=y), again(moving_average).with_data(series=y)):
        assert_density(compiled, lambda q: errors_logp(q, y), np.array([0.3, -0.4]))


def test_a_loop_that_begins_with_the_first_of_an_empty_series(moving_average):
    with pytest.raises(
        ModelError, match=r"cannot be evaluated with these data \(series \(0,\)\): .* an index lies outside"
    ):
        moving_average.with_data(series=np.zeros(0))


def test_no_arithmetic_on_lengths_is_compiled(autoregression, moving_average):
    for compiled in (autoregression, moving_average):
        graph = compiled.origin.graph
        inputs = [[each.variable for each in group] for group in (graph.parameters, graph.arrays)]
        density = rewrite(*inputs, density_outputs(graph), hoist=True, arithmetic=Arithmetic(inputs[1]))
        numbers = [node for node in density.fgraph.apply_nodes if node.outputs[0].type in (lscalar, bscalar)]
        assert not any(isinstance(node.op, Elemwise) for node in numbers)


def test_a_check_of_lengths():
    """It is made once, when data are bound, and is no divergence."""
    with pm.Model() as model:
        x = pm.Data("x", np.arange(4.0))
        mu = pm.Normal("mu", 0.0, 1.0)
        n = Assert("an even number of rows")(x.shape[0], pt.eq(x.shape[0] % 2, 0))
        pm.Potential("terms", mu * n.astype("float64"))
    compiled = compile_model(model)
    assert compiled.with_data(x=np.zeros(10)).logp_dlogp(np.zeros(1))[1] == pytest.approx(10.0)
    with pytest.raises(
        ModelError, match=r"with these data \(x \(3,\)\): .* a check that the model makes does not hold"
    ):
        compiled.with_data(x=np.zeros(3))


def damaged(steps=None, results=None):
    """Change the arithmetic in a file's manifest."""

    def change(manifest, parts):
        lengths = manifest["code"]["lengths"]
        lengths["steps"] = lengths["steps"] if steps is None else steps(lengths["steps"])
        lengths["results"] = lengths["results"] if results is None else results

    return change


@pytest.mark.parametrize(
    "change",
    [
        damaged(steps=lambda steps: steps[:-1]),
        damaged(steps=lambda steps: [["eval", *step[1:]] for step in steps]),
        damaged(steps=lambda steps: [["length", "int64", [99, 0]], *steps[1:]]),
        damaged(steps=lambda steps: "steps"),
        damaged(results=[]),
        damaged(results=[10**6]),
        lambda manifest, parts: manifest["code"].update(lengths=None),
    ],
)
def test_damaged_arithmetic_in_a_file(autoregression, change):
    with pytest.raises(Damaged, match="what its header says does not fit what it holds: save the model anew"):
        from_bytes(rewritten(autoregression.to_bytes(), change))


@pytest.mark.parametrize("make", [lags, pytest.param(errors_one_by_one, marks=pytest.mark.slow)])
def test_both_ways_to_lower_read_the_same_lengths(make):
    y = np.random.default_rng(3).normal(size=9)
    compiled = compile_model(make(y), lowering="numba")
    logp = lags_logp if make is lags else errors_logp
    assert compiled.code.lengths.results
    assert_density(
        compiled.with_data(series=y[:6]), lambda q: logp(q, y[:6]), np.array([0.3, -0.2, 0.1])[: compiled.n_dim]
    )
