"""Systems, inverses and determinants of general matrices by LU; what has no solution is filled with NaN.

The matrix is copied in C order, which Fortran reads as its transpose: a determinant is the same, an inverse
in C order comes out as it should, and a system is solved with the transpose of what Fortran sees.
"""

import numpy as np

from nutmill.model.blas.factors import check_square, check_system
from nutmill.model.blas.jit import array_kernel
from nutmill.model.blas.products import batch_length
from nutmill.model.blas.strided import copied, copy_into, plain
from nutmill.model.blas.symbols import dgetrf, dgetri, dgetrs

_TRANSPOSED = ord("T")


@array_kernel
def _factorise(a):
    """LU in place; returns the pivots and whether there was no zero among them."""
    n = len(a)
    pivots = np.empty(n, np.int32)
    if n == 0:
        return pivots, True
    return pivots, dgetrf(n, n, a, n, pivots) == 0


@array_kernel
def _mirror(a, lower):
    """Complete a symmetric matrix of which one triangle is given."""
    for i in range(len(a)):
        for j in range(i):
            if lower:
                a[j, i] = a[i, j]
            else:
                a[i, j] = a[j, i]


@array_kernel
def _solve_into(matrix, b, symmetric, lower, x):
    a = copied(matrix)
    if symmetric:
        _mirror(a, lower)
    pivots, regular = _factorise(a)
    if not regular:
        x[:] = np.nan
    elif x.size > 0 and x.ndim == 1:
        copy_into(b, x)
        dgetrs(_TRANSPOSED, len(a), 1, a, len(a), pivots, x, len(a))
    elif x.size > 0:
        columns = copied(b.T)
        dgetrs(_TRANSPOSED, len(a), len(columns), a, len(a), pivots, columns, len(a))
        copy_into(columns.T, x)


@array_kernel
def solve(matrix, b, symmetric, lower):
    """Solution x of ``A @ x == b``.

    Parameters
    ----------
    matrix : (n, n) float64, any strides
    b : (n,) or (n, m) float64, any strides
    symmetric, lower : bool
        Whether only one triangle is read, and which.

    Returns
    -------
    (n,) or (n, m) float64, C-contiguous
        All NaN if the matrix is singular.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    check_system(matrix, b, 0)
    x = np.empty(b.shape)
    _solve_into(plain(matrix), plain(b), symmetric, lower, x)
    return x


@array_kernel
def batched_solve(matrices, b, symmetric, lower):
    """As `solve` for stacks (s, n, n) and (s, n) or (s, n, m), of which one may have length 1."""
    check_system(matrices, b, 1)
    x = np.empty((batch_length(matrices, b), *b.shape[1:]))
    a, right = plain(matrices), plain(b)
    for i in range(len(x)):
        _solve_into(a[i if len(a) > 1 else 0], right[i if len(right) > 1 else 0], symmetric, lower, x[i])
    return x


@array_kernel
def _inverse_into(matrix, out):
    copy_into(matrix, out)
    pivots, regular = _factorise(out)
    n = len(out)
    if not regular:
        out[:] = np.nan
    elif n > 0:
        # LAPACK recommends as many columns of workspace as it takes at once; 64 is its own block size.
        work = np.empty(64 * n)
        dgetri(n, out, n, pivots, work, work.size)


@array_kernel
def inverse(matrix):
    """Inverse of a matrix (n, n), any strides; all NaN if it is singular, an error if it is not square."""
    check_square(matrix)
    out = np.empty(matrix.shape)
    _inverse_into(plain(matrix), out)
    return out


@array_kernel
def batched_inverse(matrices):
    """Inverses of a stack of matrices (b, n, n)."""
    check_square(matrices)
    out = np.empty(matrices.shape)
    stack = plain(matrices)
    for i in range(len(stack)):
        _inverse_into(stack[i], out[i])
    return out


@array_kernel
def _sign_and_log(matrix):
    a = copied(matrix)
    pivots, _ = _factorise(a)
    sign, logarithm = 1.0, 0.0
    for i in range(len(a)):
        if (pivots[i] != i + 1) != (a[i, i] < 0.0):
            sign = -sign
        if a[i, i] == 0.0:
            sign = 0.0
        logarithm += np.log(abs(a[i, i]))
    return sign, logarithm


@array_kernel
def log_determinant(matrix):
    """Sign and logarithm of the absolute value of the determinant, (0, -inf) of a singular matrix.

    Parameters
    ----------
    matrix : (n, n) float64, any strides

    Returns
    -------
    sign, logarithm : () float64

    Raises
    ------
    ValueError
        If the matrix is not square.
    """
    check_square(matrix)
    sign, logarithm = np.empty(()), np.empty(())
    sign[()], logarithm[()] = _sign_and_log(plain(matrix))
    return sign, logarithm


@array_kernel
def batched_log_determinant(matrices):
    """As `log_determinant` for a stack (b, n, n): two vectors (b,)."""
    check_square(matrices)
    stack = plain(matrices)
    sign, logarithm = np.empty(len(stack)), np.empty(len(stack))
    for i in range(len(stack)):
        sign[i], logarithm[i] = _sign_and_log(stack[i])
    return sign, logarithm
