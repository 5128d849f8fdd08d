"""Lean solves, inverses and determinants of general matrices, and diagonal matrices."""

import numpy as np
import pytensor.tensor as pt
import pytest
from linear_algebra import lean_function, positive_definite

from nutmill.model.blas import diagonals, lu


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


def test_singular_matrix_has_no_inverse_and_determinant_zero():
    singular = np.ones((3, 3))
    assert np.isnan(lu.inverse(singular)).all()
    assert np.isnan(lu.solve(singular, np.ones(3), False, False)).all()
    sign, logarithm = lu.log_determinant(singular)
    assert (sign, logarithm) == (0.0, -np.inf)


def test_diagonal_matrix():
    for n in (0, 1, 4):
        values = np.arange(1.0, n + 1)
        np.testing.assert_array_equal(diagonals.diagonal_matrix(values), np.diag(values))
