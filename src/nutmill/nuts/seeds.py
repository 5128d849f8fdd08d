"""Where the stream of random numbers of each chain starts."""

import numpy as np


def seed_stream(seed: int, chain_id: int) -> np.ndarray:
    """Return the start of the stream of one chain, (4,) uint64; those of other chains are independent."""
    return np.random.SeedSequence(seed, spawn_key=(chain_id,)).generate_state(4, np.uint64)
