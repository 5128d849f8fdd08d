"""Operations that are alike, computed together: what comes out, how little is left, and what is left alone."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from model.inlining import INTERPRETED
from pytensor.gradient import grad

from benchmarks.models import capture_recapture
from nutmill import compile_model
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.model.graphs.stacking import stacked
from nutmill.model.graphs.stacking.items import Items
from nutmill.model.graphs.stacking.stacked import n_operations


def by_loop(n, term):
    """The sum of what a function gives for 0 ... n - 1, added up in a loop."""
    total = term(0)
    for number in range(1, n):
        total = total + term(number)
    return total


def assert_equal_but_small(output, inputs, points):
    """Values and gradients are those of the graph as it was written, and few operations are left of it."""
    (new,) = stacked([output], lambda _: False, large=100)
    assert n_operations([new]) < 0.4 * n_operations([output])
    before, after = (
        pytensor.function(inputs, [graph, *grad(graph, inputs)], mode=INTERPRETED, on_unused_input="ignore")
        for graph in (output, new)
    )
    for point in points:
        for one, other in zip(before(*point), after(*point), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12 * np.abs(one).max())


@pytest.fixture
def x():
    return pt.vector("x")


@pytest.fixture
def points():
    rng = np.random.default_rng(3)
    return [(rng.uniform(0.1, 0.9, 6),) for _ in range(3)]


ROWS = np.random.default_rng(4).normal(size=(200, 6))
PARTS = np.random.default_rng(7).uniform(0.1, 0.9, size=(200, 6))
COUNTS = np.random.default_rng(5).poisson(2.0, size=(200, 6))


def mixed(x, i):
    """Some operation or other, of elements that lie anywhere."""
    a, b = x[i % 6] * PARTS[i, 0], x[(7 * i + 1) % 6]
    ways = (
        lambda: pt.log1p(-a * b) + COUNTS[i, 0] * pt.log(a),
        lambda: pt.switch(a > b, a**2, pt.exp(b) / (1.0 + pt.exp(a))),
        lambda: pt.logsumexp(pt.stack([a, b, a * b])) - pt.sqrt(a),
        lambda: a ** COUNTS[i, 0] / (b + 1.0) + pt.clip(a - b, -0.2, 0.3),
    )
    return ways[i % 4]()


def by_recursion(x, i):
    """Of a length that differs from member to member."""
    state = pt.constant(1.0)
    for step in range(1 + i % 5):
        state = 1.0 - x[step] + x[step] * (1.0 - PARTS[i, 0]) * state
    return pt.log(state)


LOOPS = {
    # Each element is of another vector, and the vectors lie in one array in this order.
    "one of each": lambda x, i: pt.log(pt.sum(x[:, None] * PARTS[i], axis=0)[i % 6]),
    "elements": lambda x, i: pt.log(x[i % 6]) + pt.log(1.0 - x[(i + 2) % 6] * PARTS[i, 0]) * ROWS[i, 0],
    "rows of data": lambda x, i: pt.sum(pt.log(pm.math.invlogit(x * ROWS[i]))) ** 2,
    "elements of what is computed of rows": lambda x, i: pt.log(pm.math.invlogit(x[0] + x * ROWS[i])[i % 6]),
    "parts of rows": lambda x, i: pt.sum((x[1:4] * ROWS[i][2:5]) ** 2) + pt.max(x[::2] * ROWS[i][::2]),
    "tables": lambda x, i: (x[:, None] * ROWS[i])[1, i % 6] + (x[:, None] + ROWS[i]).T[i % 6, 2] ** 2,
    "vectors of numbers": lambda x, i: pt.sum(pt.stack([x[i % 6], x[0] * PARTS[i, 0]]) * np.array([1.0, 2.0])) ** 2,
    "recursions": by_recursion,
    "sums of sums": lambda x, i: pt.log(sum(x[j] * PARTS[i, j] for j in [*range(6), *range(i % 5), 0, 1, 2])),
    "mixed": mixed,
    "what PyMC checks": lambda x, i: pm.logp(pm.Normal.dist(x[0], x[i % 3]), ROWS[i, 0]),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_over_equal_graphs_are_stacked(name, x, points):
    output = by_loop(40, lambda i: LOOPS[name](x, i))
    assert_equal_but_small(output, [x], points)


def test_stable_forms_are_found_as_without_stacking(x):
    """log(1 - sigmoid) far out, of which nothing is left if the probability is computed first."""
    output = by_loop(200, lambda i: pt.log(1.0 - pm.math.invlogit(x[i % 6] * abs(ROWS[i, 0]) + ROWS[i, 1])))
    compiled = compile_model(output, start={"x": np.zeros(6)})
    q = np.array([800.0, -800.0, 90.0, 1e4, -40.0, 0.3])
    z = q[np.arange(200) % 6] * abs(ROWS[:, 0]) + ROWS[:, 1]
    value, gradient = compiled.logp_dlogp(q)
    assert value == pytest.approx(-np.logaddexp(0.0, z).sum(), rel=1e-13)
    slopes = -abs(ROWS[:, 0]) * np.exp(-np.logaddexp(0.0, -z))
    np.testing.assert_allclose(gradient, np.bincount(np.arange(200) % 6, slopes), rtol=1e-12)


@pytest.mark.slow
def test_capture_and_recapture():
    model = capture_recapture.build(20)
    compiled = compile_model(model)
    # In its terms, because the interpreter adds no more than 31 at once.
    terms = model.compile_fn(model.logp(sum=False), inputs=model.value_vars, mode=INTERPRETED)
    q, direction = np.random.default_rng(6).normal(0.0, [[1.5], [1e-5]], (2, compiled.n_dim))
    value, gradient = compiled.logp_dlogp(q)
    here, ahead, behind = (sum(t.sum() for t in terms(compiled.split(q + k * direction))) for k in (0, 1, -1))
    assert value == pytest.approx(here, rel=1e-13)
    assert gradient @ direction == pytest.approx((ahead - behind) / 2.0, rel=1e-7)


def test_twice_the_animals_are_twice_the_work_and_the_same_graph():
    items, left = [], []
    for animals in (40, 80):
        total = capture_recapture.build(animals).logp()
        items.append(len(Items([total], lambda _: False).items))
        left.append(n_operations(stacked([total], lambda _: False)))
    assert items[1] < 2.1 * items[0]
    assert left[1] < 1.1 * left[0] < 350


def test_what_is_small_or_has_nothing_alike_stays_as_it_is(x):
    small = by_loop(20, lambda i: pt.log(x[i % 6]))
    state = x[0]
    for _ in range(150):
        state = pt.sin(state + 0.1 * x[1])
    assert stacked([small], lambda _: False) == [small]
    assert stacked([state], lambda _: False, large=150) == [state]


def test_data_stay_data():
    """Observations of one length today may be of two tomorrow; so are rows of `pm.Data` others."""
    with pm.Model() as model:
        x = pm.Normal("x", shape=6)
        table = pm.Data("table", ROWS)
        for i in range(200):
            pm.Potential(f"term_{i}", -((x[i % 6] - table[i, 0]) ** 2) * pt.sum(table[i]) ** 2)
        for i in range(6):
            pm.Normal(f"y_{i}", x[i % 6], 1.0, observed=ROWS[i, :5])
    compiled = compile_model(model)
    other = compiled.with_data(table=2.0 * ROWS, y_0=np.arange(9.0))
    q, index = np.linspace(-0.5, 0.7, 6), np.arange(200) % 6
    value = other.logp_dlogp(q)[0]
    expected = -np.sum((q[index] - 2.0 * ROWS[:, 0]) ** 2 * (2.0 * ROWS).sum(axis=1) ** 2)
    values = [np.arange(9.0), *ROWS[1:6, :5]]
    terms = [*(y - q[i % 6] for i, y in enumerate(values)), q]
    expected -= sum(np.sum(0.5 * term**2 + 0.5 * np.log(2.0 * np.pi)) for term in terms)
    assert value == pytest.approx(expected, rel=1e-12)


def test_deterministics_of_a_loop():
    with pm.Model() as model:
        x = pm.Normal("x", shape=6)
        for i in range(100):
            pm.Deterministic(f"d_{i}", pt.exp(x[i % 6] * ROWS[i, 0]) * sum(x[j] * ROWS[i, j] for j in range(5)))
    graph = from_pymc(model, None)
    assert n_operations([graph.expanded[f"d_{i}"].variable for i in range(100)]) < 300
    draw = np.linspace(-0.5, 0.7, 6)
    values = {node: graph.expanded[node].variable for node in ("d_0", "d_77")}
    inputs = [graph.parameters[0].variable, *(array.variable for array in graph.arrays)]
    computed = pytensor.function(inputs, list(values.values()), mode=INTERPRETED, on_unused_input="ignore")
    for i, value in zip((0, 77), computed(draw, *(array.value for array in graph.arrays)), strict=True):
        assert value == pytest.approx(np.exp(draw[i % 6] * ROWS[i, 0]) * (draw[:5] @ ROWS[i, :5]), rel=1e-13)


def test_a_known_model_is_recognised(model_cache):
    """Though arrays of indices that nutmill made are no part of it, and beside data that may change."""
    found = []
    for _ in range(2):
        with pm.Model() as model:
            x, table = pm.Normal("x", shape=6), pm.Data("table", ROWS)
            for i in range(200):
                pm.Potential(f"term_{i}", -((x[i % 6] - table[i, i % 4]) ** 2) * ROWS[i, 1] ** 2)
        found.append(compile_model(model))
    assert "recognise" in found[1].code.stages and found[1].code.from_cache
    q = np.linspace(-0.5, 0.7, 6)
    assert found[0].logp_dlogp(q)[0] == found[1].logp_dlogp(q)[0]
