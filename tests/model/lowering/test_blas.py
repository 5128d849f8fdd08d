"""Lean linear algebra: the numbers of NumPy and SciPy for every layout; inputs and process untouched."""

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.linalg
from model.inlining import INTERPRETED, inlined
from model.linear_algebra import LAYOUTS, MODE, ROUNDING, assert_lean, lean_function, open_tensor, positive_definite
from pytensor.link.numba.dispatch.basic import numba_funcify

from nutmill.model.lowering.slots import declare_slots
from nutmill.model.rewriting.blas.ops import LeanMatrixVector, LeanOp
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.native.routines import ROUTINES, SLOT_PREFIX, SPECIAL, SPECIAL_PREFIX, address, special_address

pytestmark = [
    pytest.mark.usefixtures("optimised_on_one_line"),
    # Numba keeps no function on the disk in which addresses of routines are left, as they are without optimisations.
    pytest.mark.filterwarnings("ignore:Cannot cache compiled function"),
]


@pytest.fixture(scope="module")
def matrix_product():
    """Compiled product of two matrices."""
    x, y = pt.matrix("x"), pt.matrix("y")
    return lean_function([x, y], x @ y)


@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_product_of_any_two_layouts(matrix_product, left, right):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(17, 11)), rng.normal(size=(11, 13))
    np.testing.assert_allclose(matrix_product(LAYOUTS[left](x), LAYOUTS[right](y)), x @ y, rtol=ROUNDING)


@pytest.mark.parametrize("step", [0, 1, 5])
def test_products_of_rows_that_overlap_or_repeat(matrix_product, vector_products, step):
    rng = np.random.default_rng(15)
    x = np.lib.stride_tricks.as_strided(rng.normal(size=200), (30, 11), (8 * step, 8))
    y, u, v = rng.normal(size=(30, 13)), rng.normal(size=30), rng.normal(size=11)
    pairs = [(matrix_product(x.T, y), x.T @ y), (matrix_product(x, x.T), x @ x.T)]
    pairs += zip(vector_products(x, u, v)[:2], [x @ v, u @ x], strict=True)
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (1, 90, 1), (90, 1, 9), (1, 9, 90)])
def test_product_of_empty_and_thin_matrices(matrix_product, shape):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=shape[:2]), rng.normal(size=shape[1:])
    np.testing.assert_allclose(matrix_product(x, y), x @ y, rtol=ROUNDING)


def test_product_with_wrong_lengths_says_so(matrix_product):
    with pytest.raises(ValueError, match="matrix product"):
        matrix_product(np.ones((3, 4)), np.ones((3, 4)))


@pytest.fixture(scope="module")
def vector_products():
    """Compiled products of a matrix and a vector, of a vector and a matrix, and of two vectors."""
    x, u, v = pt.matrix("x"), pt.vector("u"), pt.vector("v")
    return lean_function([x, u, v], [x @ v, u @ x, v @ v])


@pytest.mark.parametrize("stride", [1, 3, -1])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(40, 30), (3, 2), (0, 5), (5, 0), (1, 200), (200, 1)])
def test_product_with_vectors(vector_products, layout, shape, stride):
    rng = np.random.default_rng(3)
    x = rng.normal(size=shape)
    u, v = (rng.normal(size=3 * n)[::stride][:n] for n in shape)
    for found, expected in zip(vector_products(LAYOUTS[layout](x), u, v), [x @ v, u @ x, v @ v], strict=True):
        np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)


def test_lengths_of_more_than_32_bits_are_refused(vector_products):
    """Cut to 32 bits, the distance of the rows would be their length."""
    numbers = np.arange(1200.0)
    x = np.lib.stride_tricks.as_strided(numbers, (40, 30), (8 * (2**32 + 30), 8))
    with pytest.raises(OverflowError, match="32 bits"):
        vector_products(x, np.ones(40), np.ones(30))


def test_integer_operand_is_cast():
    x, v = pt.imatrix("x"), pt.vector("v")
    counts, weights = np.arange(300, dtype="int32").reshape(20, 15), np.linspace(-1, 1, 15)
    np.testing.assert_allclose(lean_function([x, v], x @ v)(counts, weights), counts @ weights, rtol=ROUNDING)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(40, 30), (3, 2), (0, 5), (1, 200)])
def test_products_of_single_precision(single_products, layout, shape):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=shape).astype(np.float32), rng.normal(size=(shape[1], 7)).astype(np.float32)
    v = rng.normal(size=2 * shape[1]).astype(np.float32)[::2]
    for found, expected in zip(single_products(LAYOUTS[layout](x), y, v), [x @ y, x @ v, x @ x.T], strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def single_products():
    x, y, v = pt.matrix("x", dtype="float32"), pt.matrix("y", dtype="float32"), pt.vector("v", dtype="float32")
    function = lean_function([x, y, v], [x @ y, x @ v, x @ x.T])
    assert any(isinstance(node.op, LeanOp) for node in function.maker.fgraph.apply_nodes)
    return function


def test_factors_of_single_precision_are_left_alone():
    x = pt.matrix("x", dtype="float32")
    nodes = pytensor.function([x], pt.linalg.cholesky(x), mode=MODE).maker.fgraph.apply_nodes
    assert not any(isinstance(node.op, LeanOp) for node in nodes)


@pytest.mark.parametrize("batches", [((4,), (4,)), ((1,), (4,)), ((2, 3), (2, 3)), ((2, 1), (1, 3)), ((), (5,))])
def test_batched_products(batches):
    rng = np.random.default_rng(4)
    function = None
    for core in [(3, 4, 5), (9, 8, 7)]:
        x, y = rng.normal(size=(*batches[0], *core[:2])), rng.normal(size=(*batches[1], *core[1:]))
        if function is None:
            left, right = open_tensor(x), open_tensor(y)
            function = lean_function([left, right], pt.matmul(left, right))
        np.testing.assert_allclose(function(x, y), x @ y, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("core", [(6, 9, 1), (1, 9, 6)])
def test_batched_products_with_vectors(core):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 3, *core[:2])), rng.normal(size=(2, 3, *core[1:]))
    left, right = open_tensor(x), open_tensor(y)
    found = lean_function([left, right], pt.matmul(left, right))(x, y)
    np.testing.assert_allclose(found, x @ y, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("lower", [True, False])
def test_cholesky_reads_one_triangle_in_any_layout(lower):
    a = pt.matrix("a")
    factor = lean_function([a], pt.linalg.cholesky(a, lower=lower))
    for n in (0, 1, 2, 5, 40):
        spd = positive_definite(np.random.default_rng(5), n)
        expected = scipy.linalg.cholesky(spd, lower=lower)
        half = np.tril(spd) if lower else np.triu(spd)
        for layout in LAYOUTS.values():
            np.testing.assert_allclose(factor(layout(half)), expected, rtol=1e-9, atol=ROUNDING)


def test_cholesky_of_an_indefinite_matrix_is_nan():
    a = pt.tensor3("a")
    spd = positive_definite(np.random.default_rng(6), 3, 4)
    spd[1, 2, 2] = -1.0
    found = lean_function([a], pt.linalg.cholesky(a))(spd)
    assert np.isnan(found).all(axis=(1, 2)).tolist() == [False, True, False]
    np.testing.assert_allclose(found[[0, 2]], np.linalg.cholesky(spd[[0, 2]]), rtol=1e-9, atol=ROUNDING)


@pytest.mark.parametrize("b_ndim", [1, 2])
def test_triangular_solve_with_every_flag_and_layout(b_ndim):
    rng = np.random.default_rng(7)
    flags = [{"lower": lower, "unit_diagonal": unit} for lower in (True, False) for unit in (True, False)]
    a, b = pt.matrix("a"), pt.tensor("b", shape=(None,) * b_ndim, dtype="float64")
    solve = lean_function([a, b], [pt.linalg.solve_triangular(a, b, b_ndim=b_ndim, **each) for each in flags])
    for n in (0, 1, 3, 4, 9, 18):  # four unknowns at once, and what is left
        matrix, right = rng.normal(size=(n, n)) / max(n, 1) + 4 * np.eye(n), rng.normal(size=(n, 6)[:b_ndim])
        expected = [scipy.linalg.solve_triangular(matrix, right, **each) for each in flags]
        for layout in LAYOUTS.values():
            given = layout(right) if b_ndim == 2 else np.repeat(right, 2)[::2]
            for found, value in zip(solve(layout(matrix), given), expected, strict=True):
                np.testing.assert_allclose(found, value, rtol=1e-8, atol=ROUNDING)


def test_systems_of_one_column_call_no_routine():
    rng = np.random.default_rng(7)
    a, b = pt.matrix("a"), pt.matrix("b", shape=(None, 1))
    solve = lean_function([a, b], [pt.linalg.solve_triangular(a, b, lower=True), pt.linalg.cho_solve((a, True), b)])
    assert all(node.inputs[1].ndim == 1 for node in solve.maker.fgraph.apply_nodes if isinstance(node.op, LeanOp))
    matrix, right = np.tril(rng.normal(size=(7, 7))) + 4 * np.eye(7), rng.normal(size=(7, 1))
    expected = [np.linalg.solve(matrix, right), np.linalg.solve(matrix @ matrix.T, right)]
    for found, value in zip(solve(matrix, right), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-9)


@pytest.mark.parametrize("flags", [{"lower": True, "trans": 1}, {"unit_diagonal": True}])
def test_triangular_solve_in_a_graph(flags):
    rng = np.random.default_rng(7)
    a, b = pt.matrix("a"), pt.matrix("b")
    solve = lean_function([a, b], pt.linalg.solve_triangular(a, b, **flags))
    matrix, right = rng.normal(size=(9, 9)) + 4 * np.eye(9), rng.normal(size=(9, 6))
    expected = scipy.linalg.solve_triangular(matrix, right, **flags)
    np.testing.assert_allclose(solve(matrix, right), expected, rtol=1e-8, atol=ROUNDING)


@pytest.mark.parametrize("b_ndim", [1, 2])
@pytest.mark.parametrize("lower", [True, False])
def test_cholesky_solve(lower, b_ndim):
    rng = np.random.default_rng(8)
    a, b = pt.matrix("a"), pt.tensor("b", shape=(None,) * b_ndim, dtype="float64")
    solve = lean_function([a, b], pt.linalg.cho_solve((a, lower), b, b_ndim=b_ndim))
    spd, right = positive_definite(rng, 8), rng.normal(size=(8, 3)[:b_ndim])
    factor = scipy.linalg.cholesky(spd, lower=lower)
    np.testing.assert_allclose(solve(factor, right), np.linalg.solve(spd, right), rtol=1e-8)


def test_solve_with_singular_triangle_is_nan():
    a, b = pt.matrix("a"), pt.vector("b")
    solve = lean_function([a, b], pt.linalg.solve_triangular(a, b, lower=True))
    assert np.isnan(solve(np.diag([1.0, 0.0, 1.0]), np.ones(3))).all()


@pytest.mark.parametrize(
    ("batches", "b_ndim"),
    [
        (((4,), (1,)), 1),
        (((1,), (4,)), 2),
        (((2, 3), (2, 3)), 2),
        *(pytest.param(((n,), (4,)), b_ndim, marks=pytest.mark.slow) for n, b_ndim in [(4, 1), (4, 2), (1, 1)]),
        pytest.param(((4,), (1,)), 2, marks=pytest.mark.slow),
        pytest.param(((2, 3), (2, 3)), 1, marks=pytest.mark.slow),
    ],
)
def test_batched_solves(batches, b_ndim):
    rng = np.random.default_rng(9)
    spd = positive_definite(rng, *batches[0], 5)
    right = rng.normal(size=(*batches[1], *(5, 2)[:b_ndim]))
    a, b = open_tensor(spd), open_tensor(right)
    factor = pt.linalg.cholesky(a)
    half = pt.linalg.solve_triangular(factor, b, lower=True, b_ndim=b_ndim)
    whole = pt.linalg.cho_solve((factor, True), b, b_ndim=b_ndim)
    found_half, found_whole = lean_function([a, b], [half, whole])(spd, right)
    columns = right[..., None] if b_ndim == 1 else right
    for found, matrix in [(found_half, np.linalg.cholesky(spd)), (found_whole, spd)]:
        expected = np.linalg.solve(matrix, columns)
        np.testing.assert_allclose(found, expected[..., 0] if b_ndim == 1 else expected, rtol=1e-8)


def test_gradient_of_a_normal_density():
    covariance, x = pt.matrix("covariance"), pt.vector("x")
    factor = pt.linalg.cholesky(covariance)
    z = pt.linalg.solve_triangular(factor, x, lower=True)
    logp = -0.5 * pt.sum(z**2) - pt.sum(pt.log(pt.diag(factor)))
    inputs, outputs = [covariance, x], [logp, *pt.grad(logp, [covariance, x])]
    rng = np.random.default_rng(10)
    given = positive_definite(rng, 12), rng.normal(size=12)
    kept = [a.copy() for a in given]
    expected = pytensor.function(inputs, outputs, mode=INTERPRETED)(*given)
    graph = rewrite(inputs, [], outputs, hoist=False).fgraph  # as in a model: PyTensor takes six times as long
    assert_lean(graph)
    for found, value in zip(inlined(graph.inputs, graph.outputs)(*given), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-9, atol=ROUNDING)
    for after, before in zip(given, kept, strict=True):
        np.testing.assert_array_equal(after, before)


def test_other_functions_of_the_process_stay_as_they_were():
    x = pt.matrix("x")
    function = pytensor.function([x], x @ x, mode="NUMBA")
    assert not any(isinstance(node.op, LeanOp) for node in function.maker.fgraph.apply_nodes)


def test_every_routine_has_an_address_and_a_slot():
    slots = declare_slots()
    expected = {SLOT_PREFIX + routine: address(routine) for routine in ROUTINES}
    expected |= {SPECIAL_PREFIX + function: special_address(function) for function in SPECIAL}
    assert {symbol: slot.value for symbol, slot in slots.items()} == expected
    assert all(expected.values())
    assert declare_slots() is slots


def test_calls_go_through_an_external_slot():
    a, v = pt.matrix("a"), pt.vector("v")
    product = numba_funcify(LeanMatrixVector(), node=LeanMatrixVector()(a, v).owner)
    call = numba.njit(lambda a, v: product(a, v))
    np.testing.assert_allclose(call(np.ones((20, 20)), np.ones(20)), 20.0)
    (text,) = call.inspect_llvm().values()
    assert f"@{SLOT_PREFIX}dgemv = external" in text
