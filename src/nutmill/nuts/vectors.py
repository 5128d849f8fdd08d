"""Loops over vectors that NumPy's syntax would compile to slower, allocating code."""

from nutmill._jit import kernel, vector_kernel


@vector_kernel
def copy_into(source, out):
    """Copy `source` (n,) to `out` (n,)."""
    for i in range(out.shape[0]):
        out[i] = source[i]


@kernel
def sort(values):
    """Sort `values` (n,) float64 in place, by insertion: n is a few hundred at most."""
    for i in range(1, values.shape[0]):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@kernel
def median(values):
    """Sort `values` (n,) float64, n > 0, in place and return the median."""
    sort(values)
    n = values.shape[0]
    return 0.5 * (values[(n - 1) // 2] + values[n // 2])
