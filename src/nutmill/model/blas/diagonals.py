"""Diagonal matrices, which PyTensor's Numba form assembles from four costly ops."""

import numpy as np

from nutmill.model.blas.jit import array_kernel


@array_kernel
def _diagonal_into(values, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = values[i] if i == j else 0.0


@array_kernel
def diagonal_matrix(values):
    """The matrix (n, n) with a vector (n,) on its diagonal."""
    out = np.empty((len(values), len(values)))
    _diagonal_into(values, out)
    return out
