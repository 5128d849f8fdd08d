"""The kernel's own linear algebra against LAPACK's."""

import numba
import numpy as np
import pytest

from nutmill.nuts import linear_algebra


@numba.njit
def orthogonalise_rows(rows, squares):
    linear_algebra.orthogonalise_rows(rows, squares)


@numba.njit
def orthonormal_basis_into(rows, basis):
    return linear_algebra.orthonormal_basis_into(rows, basis)


@numba.njit
def factorise(matrix):
    return linear_algebra.factorise(matrix)


@numba.njit
def solve_transposed(factor, vector):
    linear_algebra.solve_transposed(factor, vector)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize(("m", "n", "spread"), [(1, 4, 1.0), (5, 5, 1.0), (12, 30, 1e4), (40, 40, 1e6)])
def test_rows_become_singular_vectors(rng, m, n, spread):
    matrix = rng.normal(size=(m, n)) * np.geomspace(1.0, spread, m)[:, None]
    rows, squares = matrix.copy(), np.zeros(m)
    orthogonalise_rows(rows, squares)
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(np.sort(np.sqrt(squares))[::-1], values, rtol=1e-9)
    units = rows / np.sqrt(squares)[:, None]
    np.testing.assert_allclose(units @ units.T, np.eye(m), atol=2e-8)
    np.testing.assert_allclose(rows.T @ rows, matrix.T @ matrix, rtol=0, atol=1e-12 * spread**2 * n)


def test_equal_rows_and_zeros_are_orthogonalised(rng):
    rows, squares = np.zeros((4, 6)), np.zeros(4)
    rows[1:3] = rng.normal(size=6)
    expected = 2.0 * (rows[1] ** 2).sum()
    orthogonalise_rows(rows, squares)
    np.testing.assert_allclose(np.sort(squares), [0.0, 0.0, 0.0, expected], rtol=1e-12, atol=1e-12)


def test_basis_leaves_out_dependent_rows(rng):
    independent = rng.normal(size=(7, 20)) * np.geomspace(1e-6, 1e6, 7)[:, None]
    rows = np.concatenate([independent, independent[:3] + independent[3:6], np.zeros((1, 20))])
    basis = np.zeros((15, 20))
    assert orthonormal_basis_into(rows, basis) == 7
    np.testing.assert_allclose(basis[:7] @ basis[:7].T, np.eye(7), atol=1e-14)
    np.testing.assert_allclose(rows @ basis[:7].T @ basis[:7], rows, rtol=1e-9, atol=1e-9)


def test_basis_is_as_large_as_its_room(rng):
    basis = np.zeros((3, 20))
    assert orthonormal_basis_into(rng.normal(size=(10, 20)), basis) == 3
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-14)


def test_factor_is_choleskys(rng):
    half = rng.normal(size=(9, 6))
    matrix = half.T @ half
    factor = matrix.copy()
    assert factorise(factor)
    np.testing.assert_allclose(factor, np.linalg.cholesky(matrix), rtol=1e-10)
    vector = rng.normal(size=6)
    solution = vector.copy()
    solve_transposed(factor, solution)
    np.testing.assert_allclose(factor.T @ solution, vector, rtol=1e-10)


@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [2.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_no_factor_of_an_indefinite_matrix(matrix):
    assert not factorise(np.array(matrix))
