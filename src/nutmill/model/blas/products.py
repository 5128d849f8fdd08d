"""Products of strided matrices and vectors, each by the routine or the loop that fits it."""

import numpy as np

from nutmill.model.blas.jit import array_kernel
from nutmill.model.blas.strided import plain, readable, row_stride, vector_step
from nutmill.model.blas.symbols import dgemm, dgemv

_AS_IS, _TRANSPOSED = ord("N"), ord("T")

# Up to so many multiplications a loop costs less than the call of a routine (OpenBLAS 0.3, Zen 4).
_FEW_FOR_MATRIX, _FEW_FOR_VECTOR = 16, 128


@array_kernel
def _product_into(x, y, out):
    """`out` is C-contiguous, which Fortran reads as its transpose, so it computes y.T @ x.T."""
    n, k = x.shape
    m = y.shape[1]
    if n * k * m <= _FEW_FOR_MATRIX:
        _by_loops_into(x, y, out)
        return
    a, a_by_rows, a_stride = readable(x)
    b, b_by_rows, b_stride = readable(y)
    a_form = _AS_IS if a_by_rows else _TRANSPOSED
    b_form = _AS_IS if b_by_rows else _TRANSPOSED
    dgemm(b_form, a_form, m, n, k, 1.0, b, b_stride, a, a_stride, 0.0, out, m)


@array_kernel
def _by_loops_into(x, y, out):
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            total = 0.0
            for k in range(x.shape[1]):
                total += x[i, k] * y[k, j]
            out[i, j] = total


@array_kernel
def _times_vector_into(matrix, vector, out):
    """`out` is contiguous; what BLAS cannot read in place is read once by a loop, as a copy would."""
    rows, columns = matrix.shape
    row, column = row_stride(matrix), row_stride(matrix.T)
    step = vector_step(vector)
    if rows * columns <= _FEW_FOR_VECTOR or step == 0 or row + column == 0:
        for i in range(rows):
            total = 0.0
            for j in range(columns):
                total += matrix[i, j] * vector[j]
            out[i] = total
    elif row > 0:
        dgemv(_TRANSPOSED, columns, rows, 1.0, matrix, row, vector, step, 0.0, out, 1)
    else:
        dgemv(_AS_IS, rows, columns, 1.0, matrix, column, vector, step, 0.0, out, 1)


@array_kernel
def _check_inner(left, right):
    if left != right:
        raise ValueError("matrix product: the columns of the first and the rows of the second operand differ")


@array_kernel
def batch_length(x, y):
    """Common number of items of two stacks, of which one may hold a single item for all."""
    if len(x) != len(y) and len(x) != 1 and len(y) != 1:
        raise ValueError("batched operation: the operands have different numbers of items")
    return len(y) if len(x) == 1 else len(x)


@array_kernel
def matrix_product(x, y):
    """Product of two matrices.

    Parameters
    ----------
    x : (n, k) float64, any strides
    y : (k, m) float64, any strides

    Returns
    -------
    (n, m) float64, C-contiguous

    Raises
    ------
    ValueError
        If the inner lengths differ.
    """
    _check_inner(x.shape[1], y.shape[0])
    out = np.empty((x.shape[0], y.shape[1]))
    _product_into(plain(x), plain(y), out)
    return out


@array_kernel
def batched_matrix_product(x, y):
    """As `matrix_product` for stacks (b, n, k) and (b, k, m), of which one may have length 1."""
    _check_inner(x.shape[2], y.shape[1])
    out = np.empty((batch_length(x, y), x.shape[1], y.shape[2]))
    a, b = plain(x), plain(y)
    for i in range(len(out)):
        _product_into(a[i if len(a) > 1 else 0], b[i if len(b) > 1 else 0], out[i])
    return out


@array_kernel
def matrix_vector_product(matrix, vector):
    """Product of a matrix (n, k) and a vector (k,), any strides; errors as `matrix_product`."""
    _check_inner(matrix.shape[1], vector.shape[0])
    out = np.empty(matrix.shape[0])
    _times_vector_into(matrix, vector, out)
    return out


@array_kernel
def batched_matrix_vector_product(matrices, vectors):
    """As `matrix_vector_product` for stacks (b, n, k) and (b, k), of which one may have length 1."""
    _check_inner(matrices.shape[2], vectors.shape[1])
    out = np.empty((batch_length(matrices, vectors), matrices.shape[1]))
    for i in range(len(out)):
        matrix, vector = matrices[i if len(matrices) > 1 else 0], vectors[i if len(vectors) > 1 else 0]
        _times_vector_into(matrix, vector, out[i])
    return out
