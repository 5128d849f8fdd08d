"""How BLAS can read a strided array in place: row-major, transposed, or, as the last resort, as a copy."""

import numpy as np
from numba import types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from nutmill.model.blas.jit import array_kernel


@intrinsic
def plain(typing_context, array):
    """Forget layout and writability of a float64 array, so that kernels are compiled once for each rank."""
    general = types.Array(types.float64, array.ndim, "A", readonly=True)

    def codegen(context, builder, signature, values):
        view = context.cast(builder, values[0], signature.args[0], general)
        return impl_ret_borrowed(context, builder, general, view)

    return general(array), codegen


@array_kernel
def copy_into(source, out):
    """Copy a vector or matrix; a loop compiles in a tenth of the time of an array assignment."""
    if source.ndim == 1:
        for i in range(len(source)):
            out[i] = source[i]
    else:
        for i in range(source.shape[0]):
            for j in range(source.shape[1]):
                out[i, j] = source[i, j]


@array_kernel
def copied(source):
    """A C-contiguous copy of a vector or matrix."""
    copy = np.empty(source.shape)
    copy_into(source, copy)
    return copy


@array_kernel
def row_stride(matrix):
    """Distance of two rows in values if BLAS can read the matrix as row-major in place, else 0."""
    rows, columns = matrix.shape
    least = max(columns, 1)
    # NumPy gives an axis of length 1 any stride, so such a stride says nothing.
    if columns > 1 and matrix.strides[1] != 8:
        return 0
    if rows <= 1:
        return least
    stride = matrix.strides[0] // 8
    return stride if stride >= least and matrix.strides[0] % 8 == 0 else 0


@array_kernel
def readable(matrix):
    """The matrix as BLAS can read it.

    Parameters
    ----------
    matrix : (n, m) float64, as `plain` gives it

    Returns
    -------
    array : (n, m) float64
        The matrix itself, or a copy where neither of its axes has stride 1.
    by_rows : bool
        Whether memory runs along the rows; otherwise it runs along the columns.
    stride : int
        Distance of two rows (or columns) in values.
    """
    stride = row_stride(matrix)
    if stride > 0:
        return matrix, True, stride
    stride = row_stride(matrix.T)
    if stride > 0:
        return matrix, False, stride
    return plain(copied(matrix)), True, max(matrix.shape[1], 1)


@array_kernel
def vector_step(vector):
    """Stride of a vector in values, as BLAS takes it; 0 if it is not a positive number of values."""
    if vector.size <= 1:
        return 1
    stride = vector.strides[0]
    return stride // 8 if stride > 0 and stride % 8 == 0 else 0
