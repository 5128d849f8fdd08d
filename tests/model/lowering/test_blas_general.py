"""Lean solves, inverses and determinants of general matrices, and of stacks."""

import numpy as np
import pytensor.tensor as pt
import pytest
from model.linear_algebra import LAYOUTS, lean_function, open_tensor, positive_definite

pytestmark = [
    pytest.mark.usefixtures("optimised_on_one_line"),
    # Numba keeps no function on the disk in which addresses of routines are left, as they are without optimisations.
    pytest.mark.filterwarnings("ignore:Cannot cache compiled function"),
]


@pytest.mark.parametrize("b_ndim", [1, 2])
@pytest.mark.parametrize("assume_a", ["gen", "sym", "pos"])
def test_general_solve(assume_a, b_ndim):
    rng = np.random.default_rng(11)
    a, b = pt.matrix("a"), pt.tensor("b", shape=(None,) * b_ndim, dtype="float64")
    solve = lean_function([a, b], pt.linalg.solve(a, b, assume_a=assume_a, lower=True, b_ndim=b_ndim))
    matrix, right = rng.normal(size=(8, 8)), rng.normal(size=(8, 3)[:b_ndim])
    if assume_a != "gen":
        matrix = matrix + matrix.T if assume_a == "sym" else positive_definite(rng, 8)
    given = matrix if assume_a == "gen" else np.tril(matrix)
    np.testing.assert_allclose(solve(given, right), np.linalg.solve(matrix, right), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_systems_of_three_diagonals(three_diagonals, n):
    """Rows are exchanged where a pivot is small, and what lies beside the diagonals is not read."""
    rng = np.random.default_rng(14)
    matrix = sum(np.diag(rng.normal(size=max(n - abs(k), 0)), k)[:n, :n] for k in (-1, 0, 1))
    matrix[:1, :1] *= 1e-14
    beside = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) > 1
    given, b, c = np.where(beside, np.nan, matrix), rng.normal(size=n), rng.normal(size=(n, 4))
    for layout in LAYOUTS.values():
        for found, right in zip(three_diagonals(layout(given), b, c[:, ::2]), (b, c[:, ::2]), strict=True):
            np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-9, atol=1e-11)


def test_singular_systems_of_three_diagonals(three_diagonals):
    for found in three_diagonals(np.ones((2, 2)), np.ones(2), np.ones((2, 3))):
        assert np.isnan(found).all()


@pytest.fixture(scope="module")
def three_diagonals():
    """Compiled solutions of a vector and of columns; PyTensor would factorise one matrix for both."""
    a, other, b, c = pt.matrix("a"), pt.matrix("other"), pt.vector("b"), pt.matrix("c")
    pairs = (a, b), (other, c)
    solve = [pt.linalg.solve(x, right, assume_a="tridiagonal", b_ndim=right.ndim) for x, right in pairs]
    function = lean_function([a, other, b, c], solve)
    return lambda matrix, vector, columns: function(matrix, matrix, vector, columns)


def test_inverse_and_determinants():
    a, stack = pt.matrix("a"), pt.tensor3("stack")
    outputs = [f(x) for x in (a, stack) for f in (pt.linalg.inv, pt.linalg.det)]
    outputs += [*pt.linalg.slogdet(a), *pt.linalg.slogdet(stack)]
    function = lean_function([a, stack], outputs)
    rng = np.random.default_rng(12)
    for n in (0, 1, 7):
        matrix, matrices = rng.normal(size=(n, n)), rng.normal(size=(4, n, n))
        expected = [f(x) for x in (matrix, matrices) for f in (np.linalg.inv, np.linalg.det)]
        expected += [*np.linalg.slogdet(matrix), *np.linalg.slogdet(matrices)]
        for found, value in zip(function(matrix, matrices), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-8, atol=1e-10)


def test_products_of_known_lengths():
    """Short lengths that types tell are constants of the code, and such products are loops without BLAS."""
    x, y, v = (pt.tensor(shape=shape, dtype="float64") for shape in ((3, 16), (16, 5), (16,)))
    function = lean_function([x, y, v], [x @ y, y.T @ x.T, x @ v, v @ y, x[:, ::-1] @ y])
    rng = np.random.default_rng(13)
    a, b, c = rng.normal(size=(3, 16)), rng.normal(size=(16, 5)), rng.normal(size=16)
    for found, value in zip(function(a, b, c), [a @ b, (a @ b).T, a @ c, c @ b, a[:, ::-1] @ b], strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_singular_system_has_no_solution(symmetric):
    a, b, c = pt.matrix(), pt.vector(), pt.matrix()
    for right, ones in [(b, np.ones(3)), (c, np.ones((3, 2)))]:
        solution = pt.linalg.solve(a, right, assume_a="sym" if symmetric else "gen", b_ndim=right.ndim)
        found = lean_function([a, right], solution)(np.ones((3, 3)), ones)
        assert found.shape == ones.shape and np.isnan(found).all()


def test_singular_matrix_has_no_inverse_and_determinant_zero():
    a = pt.matrix()
    outputs = [pt.linalg.inv(a), pt.linalg.det(a), *pt.linalg.slogdet(a)]
    inverse, determinant, sign, logarithm = lean_function([a], outputs)(np.ones((3, 3)))
    assert np.isnan(inverse).all()
    assert (sign, logarithm) == (0.0, -np.inf) and determinant == 0.0


@pytest.fixture(scope="module")
def general_solves():
    """Compiled: a solution, an inverse, a determinant and a factor."""
    a, b = pt.matrix(), pt.matrix()
    return lean_function([a, b], [pt.linalg.solve(a, b), pt.linalg.inv(a), pt.linalg.det(a), pt.linalg.cholesky(a)])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_general_solves_read_any_layout(general_solves, layout):
    rng = np.random.default_rng(13)
    matrix, right = positive_definite(rng, 6), rng.normal(size=(6, 4))
    expected = np.linalg.solve(matrix, right), np.linalg.inv(matrix), np.linalg.det(matrix), np.linalg.cholesky(matrix)
    for found, value in zip(general_solves(LAYOUTS[layout](matrix), LAYOUTS[layout](right)), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "function", [pt.linalg.cholesky, pt.linalg.inv, pt.linalg.det, lambda a: pt.linalg.solve(a, a)]
)
def test_a_matrix_that_is_not_square_says_so(function):
    a = pt.matrix()
    with pytest.raises(ValueError, match="not square"):
        lean_function([a], function(a))(np.ones((2, 3)))


def test_stacks_with_two_batch_axes_of_which_some_broadcast():
    rng = np.random.default_rng(14)
    matrices, right = positive_definite(rng, 2, 1, 4), rng.normal(size=(1, 3, 4, 2))
    a, b = open_tensor(matrices), open_tensor(right)
    solution = pt.linalg.solve_triangular(pt.linalg.cholesky(a), b, lower=True)
    expected = np.linalg.solve(np.linalg.cholesky(matrices), right)
    np.testing.assert_allclose(lean_function([a, b], solution)(matrices, right), expected, rtol=1e-9, atol=1e-12)
