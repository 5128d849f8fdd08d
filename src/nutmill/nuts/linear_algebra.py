"""Linear algebra on rows of small matrices, in place: the kernel may not call LAPACK, whose threads change its sums."""

import math

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.vectors import copy_into

_MAX_SWEEPS = 30
# Cosine of the angle at which two rows count as orthogonal.
_ORTHOGONAL = 1e-8
# What is left of a row that is as good as a sum of others.
_DEPENDENT = 1e-8


@vector_kernel
def dot(a, b):
    """Return the inner product of two vectors (n,)."""
    total = 0.0
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@vector_kernel
def add_multiple(total, factor, vector):
    """Add `factor` times `vector` (n,) to `total` (n,)."""
    for i in range(total.shape[0]):
        total[i] += factor * vector[i]


@vector_kernel
def scale_in_place(vector, factor):
    """Multiply `vector` (n,) by a number."""
    for i in range(vector.shape[0]):
        vector[i] *= factor


@vector_kernel
def _rotate(a, b, cosine, sine):
    for i in range(a.shape[0]):
        first, second = a[i], b[i]
        a[i] = cosine * first - sine * second
        b[i] = sine * first + cosine * second


@kernel
def orthogonalise_rows(rows, squares):
    """Rotate the rows (m, n) among themselves until they are orthogonal: the one-sided method of Jacobi.

    Rows become s_k v_k', with the singular values s and right singular vectors v of the matrix (Hestenes 1958);
    their squared lengths come into `squares` (m,).
    """
    for _ in range(_MAX_SWEEPS):
        for i in range(rows.shape[0]):
            squares[i] = dot(rows[i], rows[i])
        is_done = True
        for i in range(rows.shape[0] - 1):
            for j in range(i + 1, rows.shape[0]):
                product = dot(rows[i], rows[j])
                if abs(product) > _ORTHOGONAL * math.sqrt(squares[i] * squares[j]):
                    is_done = False
                    ratio = (squares[j] - squares[i]) / (2.0 * product)
                    tangent = math.copysign(1.0, ratio) / (abs(ratio) + math.sqrt(1.0 + ratio * ratio))
                    cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
                    _rotate(rows[i], rows[j], cosine, cosine * tangent)
                    squares[i] -= tangent * product
                    squares[j] += tangent * product
        if is_done:
            return


@kernel
def orthonormal_basis_into(rows, basis):
    """Write an orthonormal basis of the span of `rows` (m, n) into `basis`; return how many vectors it has.

    Gram and Schmidt's method, done twice for each row, because once loses orthogonality. Rows that do not fit any
    more, and those that are as good as dependent, are left out.
    """
    n_found = 0
    for k in range(rows.shape[0]):
        if n_found == basis.shape[0]:
            break
        vector, size = basis[n_found], math.sqrt(dot(rows[k], rows[k]))
        copy_into(rows[k], vector)
        for _ in range(2):
            for j in range(n_found):
                add_multiple(vector, -dot(basis[j], vector), basis[j])
        left = math.sqrt(dot(vector, vector))
        if left > _DEPENDENT * size:
            scale_in_place(vector, 1.0 / left)
            n_found += 1
    return n_found


@kernel
def factorise(matrix):
    """Turn a symmetric positive definite matrix into its Cholesky factor L, zeros above it; False if it is none."""
    for i in range(matrix.shape[0]):
        for j in range(i + 1):
            rest = matrix[i, j] - dot(matrix[i, :j], matrix[j, :j])
            if j < i:
                matrix[i, j] = rest / matrix[j, j]
            elif rest > 0.0:
                matrix[i, i] = math.sqrt(rest)
            else:
                return False
        matrix[i, i + 1 :] = 0.0
    return True


@kernel
def solve_transposed(factor, vector):
    """Replace `vector` by the solution of `factor' x = vector`, `factor` lower triangular."""
    for i in range(factor.shape[0] - 1, -1, -1):
        vector[i] /= factor[i, i]
        add_multiple(vector[:i], -vector[i], factor[i, :i])
