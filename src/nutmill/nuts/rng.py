"""One stream of random numbers per chain: xoshiro256++ on four words of state (Blackman and Vigna, 2021)."""

import math

import numpy as np

from nutmill._jit import kernel

_SPACING = 2.0**-53


def seed_stream(seed: int, chain_id: int) -> np.ndarray:
    """Return the start of the stream of one chain, (4,) uint64; streams of different chains are independent."""
    return np.random.SeedSequence(seed, spawn_key=(chain_id,)).generate_state(4, np.uint64)


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


@kernel
def normal_pair(state):
    """Draw two independent standard normals by Marsaglia's polar method."""
    while True:
        u = 2.0 * uniform(state) - 1.0
        v = 2.0 * uniform(state) - 1.0
        square = u * u + v * v
        if 0.0 < square < 1.0:
            factor = math.sqrt(-2.0 * math.log(square) / square)
            return u * factor, v * factor


@kernel
def normals_into(state, out):
    """Fill `out` (n,) float64 with independent standard normals."""
    n = out.shape[0]
    for i in range(0, n - 1, 2):
        out[i], out[i + 1] = normal_pair(state)
    if n % 2 == 1:
        out[n - 1], _ = normal_pair(state)
