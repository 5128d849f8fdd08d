"""The metric of the kinetic energy: a diagonal, and as many stretched directions as the draws can prove.

M^-1 = S (1 + sum_k (stretch_k - 1) u_k u_k') S with S = diag(sqrt(variance)) and orthonormal u_k; what is stored of
a direction is S u_k, so that no square root is taken on the way. Without directions the metric is diagonal.
"""

import math
from typing import NamedTuple

import numpy as np

from nutmill._jit import inlined_kernel, kernel, vector_kernel
from nutmill.nuts.rng import normals_into

_SMALLEST, _LARGEST = 1e-20, 1e20


class Metric(NamedTuple):
    """The inverse metric of one chain."""

    variance: np.ndarray  # (n,) float64
    directions: np.ndarray  # (rank, n) float64
    # (rank,) float64: how far a direction is stretched beyond the diagonal, squared: more than 1, or less where it is
    # shrunk.
    stretch: np.ndarray


@inlined_kernel
def metric_of(state, chain):
    """View the metric of chain number `chain` of a group, as far as it is filled."""
    rank = state.chains[chain].rank
    return Metric(state.variance[chain], state.directions[chain, :rank], state.stretch[chain, :rank])


@vector_kernel
def _scale_into(variance, vector, out):
    for i in range(vector.shape[0]):
        out[i] = variance[i] * vector[i]


@vector_kernel
def _add_along(direction, weight, vector, out):
    """Add `weight` times the part of `vector` along `direction`."""
    along = 0.0
    for i in range(vector.shape[0]):
        along += direction[i] * vector[i]
    along *= weight
    for i in range(vector.shape[0]):
        out[i] += along * direction[i]


@kernel
def multiply_into(metric, vector, out):
    """Apply the inverse metric: `out = M^-1 vector`, all (n,) float64."""
    _scale_into(metric.variance, vector, out)
    for k in range(metric.stretch.shape[0]):
        _add_along(metric.directions[k], metric.stretch[k] - 1.0, vector, out)


@vector_kernel
def _normals_to_momentum(variance, momentum, velocity):
    for i in range(velocity.shape[0]):
        scale = math.sqrt(variance[i])
        momentum[i] = velocity[i] / scale
        velocity[i] = velocity[i] * scale


@vector_kernel
def _tilt(variance, direction, root, momentum, velocity):
    """Stretch the velocity by `root` along a direction, and the momentum by its inverse."""
    along = 0.0
    for i in range(momentum.shape[0]):
        along += direction[i] * momentum[i]
    for i in range(momentum.shape[0]):
        velocity[i] += along * (root - 1.0) * direction[i]
        momentum[i] += along * (1.0 / root - 1.0) * direction[i] / variance[i]


@kernel
def draw_momentum_into(metric, rng, momentum, velocity):
    """Draw a momentum from N(0, M), and write it and its velocity `M^-1 momentum`, all (n,) float64."""
    normals_into(rng, velocity)
    _normals_to_momentum(metric.variance, momentum, velocity)
    # One after the other, because they are orthogonal: no tilt changes what lies along the next direction.
    for k in range(metric.stretch.shape[0]):
        _tilt(metric.variance, metric.directions[k], math.sqrt(metric.stretch[k]), momentum, velocity)


@vector_kernel
def direction_into(variance, unit, out):
    """Write S u for a unit vector u of the space where the diagonal metric is the identity, all (n,) float64."""
    for i in range(unit.shape[0]):
        out[i] = math.sqrt(variance[i]) * unit[i]


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
