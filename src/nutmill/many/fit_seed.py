"""The seed of each of many fits."""

import numpy as np

# The spawn keys (chain,) and (chain, 1) of a seed are streams of its own chains and their starts.
_OF_FITS = 2


def fit_seed(random_seed: int, number: int) -> int:
    """Return the seed of one of many fits: `sample_numba` makes the same draws with it, from the same data.

    Parameters
    ----------
    random_seed : int
        Of `sample_many`.
    number : int
        Of the fit, from 0 on.

    Returns
    -------
    int
        Not negative, below 2**64.
    """
    sequence = np.random.SeedSequence(random_seed, spawn_key=(number, _OF_FITS))
    return int(sequence.generate_state(1, np.uint64)[0])
