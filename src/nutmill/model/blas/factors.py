"""Cholesky factors and triangular systems of strided matrices; what cannot be solved is filled with NaN."""

import numpy as np

from nutmill.model.blas.jit import array_kernel
from nutmill.model.blas.products import batch_length
from nutmill.model.blas.strided import copy_into, plain, readable
from nutmill.model.blas.symbols import dpotrf, dtrsm, dtrsv

_UPPER, _LOWER = ord("U"), ord("L")
_AS_IS, _TRANSPOSED = ord("N"), ord("T")
_UNIT, _STORED = ord("U"), ord("N")
_RIGHT = ord("R")


@array_kernel
def _triangle_into(matrix, lower, out):
    """Copy one triangle and zero the other one."""
    n = matrix.shape[0]
    for i in range(n):
        for j in range(n):
            out[i, j] = matrix[i, j] if (j <= i if lower else j >= i) else 0.0


@array_kernel
def _cholesky_into(matrix, lower, out):
    """`out` is C-contiguous, so Fortran reads it transposed: there, our lower triangle is the upper one."""
    n = matrix.shape[0]
    _triangle_into(matrix, lower, out)
    if n > 0 and dpotrf(_UPPER if lower else _LOWER, n, out, n) != 0:
        out[:] = np.nan


@array_kernel
def check_square(matrix):
    """Raise if a matrix, or those of a stack, are not square."""
    if matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError("linear algebra: the matrix is not square")


@array_kernel
def cholesky(matrix, lower):
    """Cholesky factor of a matrix of which one triangle is read.

    Parameters
    ----------
    matrix : (n, n) float64, any strides
    lower : bool
        Read the lower triangle and return L with ``L @ L.T == matrix``; else the upper one and ``U.T @ U``.

    Returns
    -------
    (n, n) float64, C-contiguous
        All NaN if the matrix is not positive definite.

    Raises
    ------
    ValueError
        If the matrix is not square.
    """
    check_square(matrix)
    out = np.empty(matrix.shape)
    _cholesky_into(plain(matrix), lower, out)
    return out


@array_kernel
def batched_cholesky(matrices, lower):
    """Cholesky factors of a stack of matrices `(b, n, n)`."""
    check_square(matrices)
    out = np.empty(matrices.shape)
    stack = plain(matrices)
    for i in range(len(stack)):
        _cholesky_into(stack[i], lower, out[i])
    return out


@array_kernel
def _is_singular(matrix, unit):
    if not unit:
        for i in range(matrix.shape[0]):
            if matrix[i, i] == 0.0:
                return True
    return False


@array_kernel
def _solve_vector_in_place(matrix, lower, transposed, unit, x):
    """Solve with the lower or upper triangle of the matrix, or of its transpose; `x` is contiguous."""
    a, by_rows, stride = readable(matrix)
    triangle = _UPPER if lower == by_rows else _LOWER
    form = _TRANSPOSED if by_rows != transposed else _AS_IS
    dtrsv(triangle, form, _UNIT if unit else _STORED, len(x), a, stride, x, 1)


@array_kernel
def _solve_matrix_in_place(matrix, lower, transposed, unit, x):
    """As `_solve_vector_in_place`; Fortran sees C-contiguous `x` transposed, so it solves from the right."""
    a, by_rows, stride = readable(matrix)
    triangle = _UPPER if lower == by_rows else _LOWER
    form = _AS_IS if by_rows != transposed else _TRANSPOSED
    n, columns = x.shape
    dtrsm(_RIGHT, triangle, form, _UNIT if unit else _STORED, columns, n, 1.0, a, stride, x, columns)


@array_kernel
def _solve_in_place(matrix, lower, transposed, unit, x):
    if x.ndim == 1:
        _solve_vector_in_place(matrix, lower, transposed, unit, x)
    else:
        _solve_matrix_in_place(matrix, lower, transposed, unit, x)


@array_kernel
def _triangular_into(matrix, b, lower, unit, x):
    copy_into(b, x)
    if x.size == 0:
        return
    if _is_singular(matrix, unit):
        x[:] = np.nan
    else:
        _solve_in_place(matrix, lower, False, unit, x)


@array_kernel
def _cholesky_solve_into(factor, b, lower, x):
    copy_into(b, x)
    if x.size > 0:
        _solve_in_place(factor, lower, not lower, False, x)
        _solve_in_place(factor, lower, lower, False, x)


@array_kernel
def check_system(matrix, b, batch_axes):
    """Raise if a matrix and a right-hand side, both after `batch_axes` axes, do not make a system."""
    check_square(matrix)
    if matrix.shape[batch_axes] != b.shape[batch_axes]:
        raise ValueError("linear algebra: the matrix and the right-hand side have different numbers of rows")


@array_kernel
def solve_triangular(matrix, b, lower, unit):
    """Solution x of ``T @ x == b``, T one triangle of the matrix.

    Parameters
    ----------
    matrix : (n, n) float64, any strides
    b : (n,) or (n, m) float64, any strides
    lower, unit : bool
        Which triangle; whether its diagonal is taken as 1 and not read.

    Returns
    -------
    (n,) or (n, m) float64, C-contiguous
        All NaN if T is singular.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    check_system(matrix, b, 0)
    x = np.empty(b.shape)
    _triangular_into(plain(matrix), plain(b), lower, unit, x)
    return x


@array_kernel
def batched_solve_triangular(matrices, b, lower, unit):
    """Solutions for stacks `(s, n, n)` and `(s, n)` or `(s, n, m)`; a stack of length 1 is used for all."""
    check_system(matrices, b, 1)
    x = np.empty((batch_length(matrices, b), *b.shape[1:]))
    a, right = plain(matrices), plain(b)
    for i in range(len(x)):
        _triangular_into(a[i if len(a) > 1 else 0], right[i if len(right) > 1 else 0], lower, unit, x[i])
    return x


@array_kernel
def cholesky_solve(factor, b, lower):
    """Solution x of ``A @ x == b`` from the Cholesky factor of A; shapes and errors as `solve_triangular`."""
    check_system(factor, b, 0)
    x = np.empty(b.shape)
    _cholesky_solve_into(plain(factor), plain(b), lower, x)
    return x


@array_kernel
def batched_cholesky_solve(factors, b, lower):
    """As `cholesky_solve` for stacks; shapes as `batched_solve_triangular`."""
    check_system(factors, b, 1)
    x = np.empty((batch_length(factors, b), *b.shape[1:]))
    a, right = plain(factors), plain(b)
    for i in range(len(x)):
        _cholesky_solve_into(a[i if len(a) > 1 else 0], right[i if len(right) > 1 else 0], lower, x[i])
    return x
