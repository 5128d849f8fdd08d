"""Few effects of one scale in a basis of their own: what they share first, then what they differ by.

Where effects are added to an intercept, data tell how they differ, and of their mean only by way of the intercept: so
the mean should not be centred, and the contrasts should. In place of the deviates xi_1 ... xi_n of such a site stand
the coordinates of a reflection that maps their mean, times the root of n, to the first of them:

    H = I - 2 u u' / u'u,    u = e_1 - 1 / sqrt(n),

which is its own inverse, keeps volumes, and leaves independent normals what they are. A site is turned wherever its
centrednesses are not those of the model as it is written, so that these are the coordinates of the model alone.
"""

import math

from nutmill._jit import inlined_kernel, kernel
from nutmill.nuts.site_basis import LEAST_TURN, MOST_TURNED, Basis
from nutmill.nuts.state import TURNING


@inlined_kernel
def basis_of(state):
    """View what tells which elements of a group are turned."""
    return Basis(state.sites, state.joint, state.written)


@kernel
def turning_elements(basis, i):
    """Return the first element of the site of element `i` and where its elements end; twice `i` if it is never turned.

    That is looked for no further than sites may reach that are turned.
    """
    first, end, n = i, i, basis.sites.shape[0]
    if basis.joint[i] == TURNING:
        while first > 0 and i - first <= MOST_TURNED and basis.sites[first - 1] == basis.sites[i]:
            first -= 1
        while end < n and end - first <= MOST_TURNED and basis.sites[end] == basis.sites[i]:
            end += 1
    return (first, end) if 2 <= end - first <= MOST_TURNED else (i, i)


@kernel
def is_turned(centredness, written, first, end):
    """Whether a site that may be turned is, at the centrednesses of its elements from `first` to `end`."""
    n_other = 0
    for i in range(first, end):
        n_other += abs(centredness[i] - written[i]) > LEAST_TURN
    return n_other > 0


@kernel
def share_of_normal(n, first, total):
    """Return what multiples of u a vector of n elements loses by the reflection: of its first element and its sum."""
    root = math.sqrt(n)
    return (first - total / root) / (1.0 - 1.0 / root)


@kernel
def turn(basis, places, log_scale, out):
    """Reflect the deviates of sites that are turned at one of two places and not at the other.

    Parameters
    ----------
    basis : Basis
    places : ((n,) float64, (n,) float64)
        Centrednesses that coordinates were of, and those that they are of now.
    log_scale : (n,) float64
    out : (n,) float64
        Coordinates at the second place, but in the basis of the first (`recentring.recentre_into`).
    """
    old, new = places
    at = 0
    while at < basis.sites.shape[0]:
        first, end = turning_elements(basis, at)
        at = max(at + 1, end)
        if end > first:
            before = is_turned(old, basis.written, first, end)
            after = is_turned(new, basis.written, first, end)
            if before != after:
                _reflect(out[first:end], new[first:end], math.exp(2.0 * log_scale[first]))


@kernel
def _reflect(vector, centredness, square):
    """Reflect the deviates of coordinates at some centrednesses, of a scale whose square is given, in place."""
    n, total = vector.shape[0], 0.0
    for i in range(n):
        vector[i] /= math.sqrt(1.0 - centredness[i] + centredness[i] * square)
        total += vector[i]
    share, each = share_of_normal(n, vector[0], total), 1.0 / math.sqrt(n)
    vector[0] -= share
    for i in range(n):
        vector[i] = (vector[i] + share * each) * math.sqrt(1.0 - centredness[i] + centredness[i] * square)
