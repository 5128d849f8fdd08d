"""The metric of the kinetic energy, in its diagonal form: all that the trajectory needs to know of it.

Another form replaces `variance` by its own arrays and gives the same three functions.
"""

import math

from nutmill._jit import vector_kernel
from nutmill.nuts.rng import normals_into

_SMALLEST, _LARGEST = 1e-20, 1e20


@vector_kernel
def multiply_into(variance, vector, out):
    """Apply the inverse metric: `out = M^-1 vector`, all (n,) float64."""
    for i in range(vector.shape[0]):
        out[i] = variance[i] * vector[i]


@vector_kernel
def draw_momentum_into(variance, rng, momentum, velocity):
    """Draw a momentum from N(0, M), and write it and its velocity `M^-1 momentum`, all (n,) float64."""
    normals_into(rng, velocity)
    for i in range(velocity.shape[0]):
        scale = math.sqrt(variance[i])
        momentum[i] = velocity[i] / scale
        velocity[i] = velocity[i] * scale


@vector_kernel
def variance_from_gradient_into(gradient, variance):
    """Guess the variances from one gradient: 1 / |gradient|, and 1 where the gradient is zero."""
    for i in range(gradient.shape[0]):
        size = abs(gradient[i])
        variance[i] = 1.0 if size == 0.0 else 1.0 / min(max(size, _SMALLEST), _LARGEST)


@vector_kernel
def fisher_variance(position_squares, gradient_squares, previous):
    """Return the variance that equalises the spread of positions and gradients, else `previous`.

    The diagonal metric of least Fisher divergence: sqrt(var(x) / var(g)) (Seyboldt et al. 2026).
    """
    variance = math.sqrt(position_squares / gradient_squares)
    if not (0.0 < variance < math.inf):
        return previous
    return min(max(variance, _SMALLEST), _LARGEST)
