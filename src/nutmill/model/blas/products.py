"""Products of strided matrices, each by the routine or loop that fits its shape."""

import numpy as np

from nutmill._jit import vector_kernel
from nutmill.model.blas.strided import plain, readable, readable_vector
from nutmill.model.blas.symbols import ddot, dgemm, dgemv

_AS_IS, _TRANSPOSED = ord("N"), ord("T")

# Below so many multiplications a loop costs less than the call of a routine.
_FEW = 64


@vector_kernel
def _by_loops_into(x, y, out):
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            total = 0.0
            for k in range(x.shape[1]):
                total += x[i, k] * y[k, j]
            out[i, j] = total


@vector_kernel
def _times_vector_into(matrix, vector, out):
    """out = matrix @ vector, `out` contiguous."""
    rows, columns = matrix.shape
    a, by_rows, stride = readable(matrix)
    v, step = readable_vector(vector)
    # Fortran sees memory that runs along the rows as the transposed matrix.
    if by_rows:
        dgemv(_TRANSPOSED, columns, rows, 1.0, a, stride, v, step, 0.0, out, 1)
    else:
        dgemv(_AS_IS, rows, columns, 1.0, a, stride, v, step, 0.0, out, 1)


@vector_kernel
def _times_matrix_into(x, y, out):
    """out = x @ y, `out` C-contiguous; Fortran computes out.T = y.T @ x.T."""
    n, k = x.shape
    m = y.shape[1]
    a, a_by_rows, a_stride = readable(x)
    b, b_by_rows, b_stride = readable(y)
    b_form = _AS_IS if b_by_rows else _TRANSPOSED
    a_form = _AS_IS if a_by_rows else _TRANSPOSED
    dgemm(b_form, a_form, m, n, k, 1.0, b, b_stride, a, a_stride, 0.0, out, m)


@vector_kernel
def _product_into(x, y, out):
    n, k = x.shape
    m = y.shape[1]
    if k <= 1 or n * k * m <= _FEW:
        _by_loops_into(x, y, out)
    elif n == 1 and m == 1:
        a, a_step = readable_vector(x[0])
        b, b_step = readable_vector(y[:, 0])
        out[0, 0] = ddot(k, a, a_step, b, b_step)
    elif m == 1:
        _times_vector_into(x, y[:, 0], out[:, 0])
    elif n == 1:
        _times_vector_into(y.T, x[0], out[0])
    else:
        _times_matrix_into(x, y, out)


@vector_kernel
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
    if x.shape[1] != y.shape[0]:
        raise ValueError("matrix product: the columns of the first and the rows of the second operand differ")
    out = np.empty((x.shape[0], y.shape[1]))
    _product_into(plain(x), plain(y), out)
    return out


@vector_kernel
def batched_matrix_product(x, y):
    """Products of two stacks of matrices, `(b, n, k)` and `(b, k, m)`; a stack of length 1 is used for all."""
    if x.shape[2] != y.shape[1]:
        raise ValueError("matrix product: the columns of the first and the rows of the second operand differ")
    batch = batch_length(x, y)
    out = np.empty((batch, x.shape[1], y.shape[2]))
    a, b = plain(x), plain(y)
    for i in range(batch):
        _product_into(a[i if len(a) > 1 else 0], b[i if len(b) > 1 else 0], out[i])
    return out


@vector_kernel
def batch_length(x, y):
    """Common number of items of two stacks, of which one may hold a single item for all."""
    if len(x) != len(y) and len(x) != 1 and len(y) != 1:
        raise ValueError("batched operation: the operands have different numbers of items")
    return len(y) if len(x) == 1 else len(x)
