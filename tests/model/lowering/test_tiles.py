"""Rows of data in tiles: found where a matrix would be read twice, with the values of PyTensor's interpreter."""

from itertools import product

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, interpreted
from pytensor.link.numba.dispatch.basic import numba_njit

from nutmill.model.lowering.inline import graph_function
from nutmill.model.lowering.slots import declare_slots
from nutmill.model.rewriting.blas.ops import LeanMatrixVector
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.model.rewriting.rows.tiles import RowTiles

COLUMNS, OTHER_COLUMNS, GROUPS = 37, 3, 5  # 101 rows of the two matrices are more than 32 kB
TILE = 96
LENGTHS = (0, 1, 15, TILE, TILE + 1, 5 * TILE + 13)

B, U, A, S = pt.vector("b"), pt.vector("u"), pt.vector("a"), pt.scalar("s")
X, Z, Y, G = pt.matrix("x"), pt.matrix("z"), pt.vector("y"), pt.lvector("g")
PARAMETERS, DATA = [B, U, A, S], [X, Z, Y, G]


def arrays(n_rows, seed=1):
    """Values of all inputs."""
    rng = np.random.default_rng(seed)
    of_parameters = [rng.normal(size=n) for n in (COLUMNS, OTHER_COLUMNS, GROUPS)] + [np.array(0.7)]
    shapes = (n_rows, COLUMNS), (n_rows, OTHER_COLUMNS), n_rows
    of_data = [0.2 * rng.normal(size=shape) for shape in shapes]
    return [*of_parameters, *of_data, rng.integers(0, GROUPS, n_rows)]


def with_gradient(value, parameters=(B,)):
    return [value, *pt.grad(value, list(parameters))]


def compiled(outputs, parameters=PARAMETERS, data=DATA):
    """A function of all inputs, the number of parts in tiles, and that of products outside of them."""
    declare_slots()
    with pytensor.config.change_flags(cxx=""):
        fgraph = rewrite(parameters, data, outputs, hoist=False).fgraph
        function = numba_njit(graph_function(fgraph).py_func, final_function=True)
    kinds = [type(node.op) for node in fgraph.apply_nodes]
    return function, kinds.count(RowTiles), kinds.count(LeanMatrixVector)


def assert_tiled(outputs, *points, n_parts=1, n_left=0, rtol=1e-11):
    function, *found = compiled(outputs)
    assert found == [n_parts, n_left]
    for point in points or [arrays(n) for n in LENGTHS]:
        expected = interpreted(PARAMETERS + DATA, outputs, point)
        for one, other in zip(function(*point), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.max(np.abs(other), initial=0.0))
    return function


ETA = X @ B
NORMAL = -0.5 * (((Y - ETA) / S) ** 2).sum()
POISSON = pt.switch(pt.all(pt.exp(ETA) > 1e-3), Y * ETA - pt.exp(ETA), -np.inf).sum()
SEVERAL = ETA + Z @ U + A[G] + S


@pytest.mark.parametrize(
    "outputs",
    [
        with_gradient(NORMAL, [B, S]),
        with_gradient((Y * pt.sigmoid(ETA + S + Y) - pt.softplus(ETA + S + Y)).sum(), [B, S]),
        with_gradient(POISSON),
        with_gradient((Y * SEVERAL - pt.log1p(SEVERAL**2)).sum(), [B, U, A, S]),
        with_gradient((pt.exp(B @ X.T) * Y).sum()),
        [*with_gradient(NORMAL), ETA],
        [*with_gradient(NORMAL), pt.cumsum(pt.exp(ETA)), pt.prod(1.0 + 0.01 * ETA), pt.any(ETA > 1.0)],
    ],
    ids=["normal", "logit", "poisson", "several products", "exponential", "rows kept", "other reductions"],
)
def test_regressions_in_tiles_have_the_values_and_gradients_of_pytensor(outputs):
    assert_tiled(outputs)


def test_two_groups_of_rows_are_two_parts():
    """Each with a length of its own; the second begins when the first is complete."""
    first, *rest = with_gradient(NORMAL)
    other = -((Z @ (U * pt.tanh(first))) ** 2).sum()
    outputs = [other, *pt.grad(other, [U], consider_constant=[first]), *rest]
    function, *found = compiled(outputs)
    assert found == [2, 0]
    point = arrays(2 * TILE + 1)
    point[5] = arrays(TILE - 1, seed=2)[5]
    for one, other in zip(function(*point), interpreted(PARAMETERS + DATA, outputs, point), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


@pytest.mark.parametrize(
    "outputs",
    [
        [ETA, pt.exp(ETA).sum()],
        [X @ B, X.T @ Y],
        [ETA, X.T @ pt.cumsum(ETA)],
        [ETA.sum(), X.T @ (ETA - ETA.sum()), X.T @ ((Z @ U) / pt.exp(ETA).sum())],
    ],
    ids=["read once", "no rows between", "rows in another order", "a sum lies between"],
)
def test_what_is_not_done_tile_by_tile(outputs):
    function, n_parts, _ = compiled(outputs)
    assert n_parts == 0
    point = arrays(TILE + 5)
    assert_same(function(*point), interpreted(PARAMETERS + DATA, outputs, point), rtol=1e-10)


def test_what_holds_in_all_rows_is_taken_to_hold_until_a_row_shows_that_it_does_not():
    function, *_ = compiled(with_gradient(POISSON))
    for row in (0, TILE + 1):
        point = arrays(TILE + 2)
        point[4][row] = 1e6 * np.sign(-point[0])
        value, gradient = function(*point)
        assert value == -np.inf
        np.testing.assert_array_equal(gradient, np.zeros(COLUMNS))
    value, _ = function(*arrays(TILE + 2))
    assert np.isfinite(value)


def test_truths_that_depend_on_truths():
    """Both of them, one, or none hold: each is looked at again with what the other turned out to be."""
    first = pt.all(ETA < S)
    second = pt.all(pt.switch(first, ETA, -ETA) < 0.5 * S)
    outputs = with_gradient(pt.switch(second, pt.switch(first, ETA**2, ETA**3), pt.exp(ETA)).sum())
    points = []
    for limit in (0.1, 5.0, 15.0, 100.0):
        points += [arrays(n) for n in LENGTHS]
        for point in points[-len(LENGTHS) :]:
            point[3] = np.array(limit)
    assert_tiled(outputs, *points)


def test_not_a_number_stays_where_it_belongs():
    function, *_ = compiled(with_gradient(NORMAL))
    point = arrays(3 * TILE)
    point[4][TILE + 1, 5] = np.nan
    value, gradient = function(*point)
    assert np.isnan(value) and np.isnan(gradient).all()
    point = arrays(3 * TILE)
    point[4][TILE + 1, 5] = np.inf
    value, gradient = function(*point)
    assert value == -np.inf and np.isinf(gradient).all()


def test_lengths_that_differ_are_an_error():
    function, *_ = compiled(with_gradient(NORMAL))
    point = arrays(TILE)
    point[6] = point[6][:-1]
    with pytest.raises(ValueError, match="different lengths"):
        function(*point)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_number_of_columns(dtype):
    b, x, y = pt.vector("b", dtype=dtype), pt.matrix("x", dtype=dtype), pt.vector("y", dtype=dtype)
    outputs = with_gradient(-((y - x @ b) ** 2).sum(), [b])
    function, *found = compiled(outputs, [b], [x, y])
    assert found == [1, 0]
    for columns, n_rows in product([0, 1, 2, 7, 8, 16, 23, 31, 300], (3, 1025)):
        rng = np.random.default_rng(columns)
        point = [rng.normal(size=shape).astype(dtype) for shape in (columns, (n_rows, columns), n_rows)]
        tolerance = 1e-12 if dtype == "float64" else 1e-4
        for one, other in zip(function(*point), interpreted([b, x, y], outputs, point), strict=True):
            assert one.dtype == dtype
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.max(np.abs(other), initial=0.0))


def random_outputs(seed):
    """Products, loops, sums, truths and transposed products in any order, each of any that came before."""
    rng = np.random.default_rng(seed)
    rows, wide, numbers = [Y, X @ B], [B], [S]
    pick = lambda choices: choices[rng.integers(len(choices))]  # noqa: E731
    for _ in range(14):
        kind = rng.integers(8)
        if kind == 0:
            rows.append(X @ pick(wide))
        elif kind in (1, 2):
            rows.append(pt.tanh(pick(rows) * pick(numbers) + pick(rows)))
        elif kind == 3:
            rows.append(pt.sin(pick(rows)) + A[G] * pick(numbers))
        elif kind == 4:
            rows.append(pt.switch(pt.all(pick(rows) < rng.uniform(0.0, 2.0)), pick(rows), -pick(rows)))
        elif kind == 5:
            numbers.append(pt.tanh(0.1 * pick(rows).sum()))
        elif kind == 6:
            wide.append(pt.tanh(0.1 * X.T @ pick(rows)))
        else:
            wide.append(pick(wide) * pick(numbers))
    return [pick(rows).sum(), *numbers, *wide, pick(rows), X.T @ rows[-1]]


def assert_random_graph(seed):
    outputs = random_outputs(seed)
    function, n_parts, _ = compiled(outputs)
    for n_rows in (1, 2 * TILE + 3):
        point = arrays(n_rows, seed)
        for one, other in zip(function(*point), interpreted(PARAMETERS + DATA, outputs, point), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9)
    return n_parts


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs(seed):
    assert_random_graph(seed)


@pytest.mark.slow
def test_many_random_graphs():
    assert sum(assert_random_graph(seed) for seed in range(100, 120)) > 9
