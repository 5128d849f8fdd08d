"""One stream of random numbers per chain: xoshiro256++ on four words of state (Blackman and Vigna, 2021).

The four words come from `nuts.group`.
"""

import math

import numpy as np

from nutmill._jit import kernel

_SPACING = 2.0**-53


@kernel
def next_word(state):
    """Advance the stream by one 64-bit word; `state` is (4,) uint64."""
    total = state[0] + state[3]
    word = ((total << np.uint64(23)) | (total >> np.uint64(41))) + state[0]
    shifted = state[1] << np.uint64(17)
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = (state[3] << np.uint64(45)) | (state[3] >> np.uint64(19))
    return word


@kernel
def uniform(state):
    """Draw from [0, 1): a multiple of 2^-53."""
    return np.float64(next_word(state) >> np.uint64(11)) * _SPACING


def _ziggurat(n_layers: int, right: float, area: float) -> np.ndarray:
    """Return the right ends of layers of equal area under exp(-x^2 / 2), (n_layers + 1,) from base to top."""
    ends = np.zeros(n_layers + 1)
    ends[0] = area * math.exp(0.5 * right * right)  # the base as wide as if it were a rectangle, tail included
    ends[1] = right
    for layer in range(1, n_layers - 1):
        height = math.exp(-0.5 * ends[layer] ** 2) + area / ends[layer]
        ends[layer + 1] = math.sqrt(-2.0 * math.log(height))
    return ends


# Marsaglia and Tsang (2000): where the tail begins and the area of each of 256 layers.
_TAIL, _AREA = 3.6541528853610088, 0.00492867323399
_ENDS = _ziggurat(256, _TAIL, _AREA)
_HEIGHTS = np.exp(-0.5 * _ENDS**2)


@kernel
def normal(state):
    """Draw from the standard normal by the ziggurat method (Marsaglia and Tsang 2000)."""
    while True:
        word = next_word(state)
        layer = word & np.uint64(255)
        # The upper 53 bits, in [-1, 1): none of them is in the layer.
        sign = 2.0 * np.float64(word >> np.uint64(11)) * _SPACING - 1.0
        value = sign * _ENDS[layer]
        if abs(value) < _ENDS[layer + np.uint64(1)]:
            return value
        if layer == 0:
            return math.copysign(_tail(state), sign)
        low, high = _HEIGHTS[layer], _HEIGHTS[layer + np.uint64(1)]
        if low + uniform(state) * (high - low) < math.exp(-0.5 * value * value):
            return value


@kernel
def _tail(state):
    """Draw from the normal beyond the ziggurat's base (Marsaglia 1964)."""
    while True:
        beyond = -math.log(1.0 - uniform(state)) / _TAIL
        if -2.0 * math.log(1.0 - uniform(state)) > beyond * beyond:
            return _TAIL + beyond


@kernel
def normals_into(state, out):
    """Fill `out` (n,) float64 with independent standard normals."""
    for i in range(out.shape[0]):
        out[i] = normal(state)
