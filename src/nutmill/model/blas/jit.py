"""How Numba compiles the kernels of PyTensor ops: unlike our other kernels, they allocate their results."""

from numba import njit

# No division checks, and sums may be reordered so that they vectorise; NaN and infinities keep their meaning.
array_kernel = njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, no_cfunc_wrapper=True)
