"""Loops over vectors that NumPy's syntax would compile to slower, allocating code."""

from nutmill._jit import vector_kernel


@vector_kernel
def copy_into(source, out):
    """Copy `source` (n,) to `out` (n,)."""
    for i in range(out.shape[0]):
        out[i] = source[i]


@vector_kernel
def add_in_place(total, vector):
    """Add `vector` (n,) to `total` (n,)."""
    for i in range(total.shape[0]):
        total[i] += vector[i]
