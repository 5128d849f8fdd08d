"""The metric of the kinetic energy: a diagonal, and as many stretched directions as the draws can prove.

M^-1 = S (1 + sum_k (stretch_k - 1) u_k u_k') S with S = diag(sqrt(variance)) and orthonormal u_k; what is stored of
a direction is S u_k, so that no square root is taken on the way. Without directions the metric is diagonal.
"""

import math
from typing import NamedTuple

import numpy as np

from nutmill._jit import inlined_kernel, kernel, vector_kernel
from nutmill.nuts.linear_algebra import add_multiple, dot
from nutmill.nuts.rng import normals_into

_SMALLEST, _LARGEST = 1e-20, 1e20


class Metric(NamedTuple):
    """The inverse metric of one chain."""

    variance: np.ndarray  # (n,) float64
    directions: np.ndarray  # (rank, n) float64
    # (rank,) float64: how far a direction is stretched beyond the diagonal, squared: more than 1, or less where it is
    # shrunk.
    stretch: np.ndarray
    # (n + rank,) float64: the variances, then stretch - 1. With d_k'p behind a momentum p, for directions d_k as they
    # are stored, an inner product q'M^-1 p is one sum over n + rank numbers: no velocity is computed.
    weights: np.ndarray
    precision_root: np.ndarray  # (n,) float64: 1 / sqrt(variance). This and the weights are what `prepare` writes


@inlined_kernel
def metric_of(state, chain):
    """View the metric of chain number `chain` of a group, as far as it is filled."""
    rank, n_dim = state.chains[chain].rank, state.variance.shape[1]
    return Metric(
        state.variance[chain],
        state.directions[chain, :rank],
        state.stretch[chain, :rank],
        state.weights[chain, : n_dim + rank],
        state.precision_root[chain],
    )


@kernel
def along_into(directions, vector):
    """Write behind a vector (n,) what of it lies along each direction: `vector` is (n + rank or more,) float64."""
    n_dim = directions.shape[1]
    for k in range(directions.shape[0]):
        vector[n_dim + k] = dot(directions[k], vector[:n_dim])


@kernel
def add_along(metric, factor, momentum, out):
    """Add to `out` (n,) `factor` times what directions add to M^-1 `momentum`, which is (n + rank or more,)."""
    n_dim = out.shape[0]
    for k in range(metric.directions.shape[0]):
        add_multiple(out, factor * metric.weights[n_dim + k] * momentum[n_dim + k], metric.directions[k])


@kernel
def prepare(metric):
    """Write what trajectories read of a metric, once it is what they are to move by."""
    _diagonal_into(metric.variance, metric.weights, metric.precision_root)
    n_dim = metric.variance.shape[0]
    for k in range(metric.stretch.shape[0]):
        metric.weights[n_dim + k] = metric.stretch[k] - 1.0


@vector_kernel
def _diagonal_into(variance, weights, precision_root):
    for i in range(variance.shape[0]):
        weights[i] = variance[i]
        precision_root[i] = 1.0 / math.sqrt(variance[i])


@vector_kernel
def _multiply_in_place(vector, factors):
    for i in range(factors.shape[0]):
        vector[i] *= factors[i]


@vector_kernel
def _add_times_squares(vector, other, factors):
    for i in range(factors.shape[0]):
        vector[i] += other[i] * factors[i] * factors[i]


@kernel
def draw_momentum_into(metric, rng, momentum, room):
    """Draw a momentum from N(0, M), with what of it lies along directions behind it.

    Parameters
    ----------
    metric : Metric
    rng : (4,) uint64
    momentum : (n + rank or more,) float64
        Written.
    room : (n,) float64
    """
    rank, momenta = metric.stretch.shape[0], momentum[: metric.variance.shape[0]]
    normals_into(rng, momenta)
    _multiply_in_place(momenta, metric.precision_root)
    if rank > 0:  # along each direction it shrinks by the root of what velocities are stretched by
        room[:] = 0.0
        for k in range(rank):
            along = dot(metric.directions[k], momenta)
            add_multiple(room, along * (1.0 / math.sqrt(metric.stretch[k]) - 1.0), metric.directions[k])
        _add_times_squares(momenta, room, metric.precision_root)
    along_into(metric.directions, momentum)


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
