"""One stream of random numbers per chain: xoshiro256++ on four words of state (Blackman and Vigna, 2021).

The four words come from `nuts.group`.
"""

import math

import numpy as np

from nutmill._jit import kernel

_SPACING = 2.0**-53


@kernel
def _next(a, b, c, d):
    """Return the next 64-bit word of a stream, and the four words of its state after it."""
    total, shifted = a + d, b << np.uint64(17)
    word = ((total << np.uint64(23)) | (total >> np.uint64(41))) + a
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    return word, a, b, c ^ shifted, (d << np.uint64(45)) | (d >> np.uint64(19))


@kernel
def next_word(state):
    """Advance the stream by one 64-bit word; `state` is (4,) uint64."""
    word, state[0], state[1], state[2], state[3] = _next(state[0], state[1], state[2], state[3])
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
def _layer_and_place(word):
    """Choose a layer of the ziggurat and a place in it, between its left and its right end."""
    layer = word & np.uint64(255)
    # The upper 53 bits, in [-1, 1): none of them is in the layer.
    return layer, (2.0 * np.float64(np.int64(word >> np.uint64(11))) * _SPACING - 1.0) * _ENDS[layer]


@kernel
def normal(state):
    """Draw from the standard normal by the ziggurat method (Marsaglia and Tsang 2000)."""
    return _normal_from(next_word(state), state)


@kernel
def _normal_from(word, state):
    while True:
        layer, value = _layer_and_place(word)
        if abs(value) < _ENDS[layer + np.uint64(1)]:
            return value
        if layer == 0:
            return math.copysign(_tail(state), value)
        low, high = _HEIGHTS[layer], _HEIGHTS[layer + np.uint64(1)]
        if low + uniform(state) * (high - low) < math.exp(-0.5 * value * value):
            return value
        word = next_word(state)


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
    a, b, c, d = state[0], state[1], state[2], state[3]  # in registers, as long as places are within the next layer
    for i in range(out.shape[0]):
        word, a, b, c, d = _next(a, b, c, d)
        layer, value = _layer_and_place(word)
        if not abs(value) < _ENDS[layer + np.uint64(1)]:
            state[0], state[1], state[2], state[3] = a, b, c, d
            value = _normal_from(word, state)
            a, b, c, d = state[0], state[1], state[2], state[3]
        out[i] = value
    state[0], state[1], state[2], state[3] = a, b, c, d
