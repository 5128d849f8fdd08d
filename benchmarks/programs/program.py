"""What can be timed of a compiled model, and a native loop around a C function known by its address."""

import ctypes
from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np

Loop = Callable[[int], int]


class Program(NamedTuple):
    """A compiled model.

    `bind(position)` takes a position, shape (n_dim,), and returns a loop with buffers of its own: called with
    `n` it evaluates log density and gradient there `n` times without the GIL, and returns how many failed.
    `sample(draws, chains, cores)` samples and returns how many gradients that took, the warmup included.
    """

    bind: Callable[[np.ndarray], Loop]
    sample: Callable[[int, int, int], int]


def native_loop(address: int, n_words: int, result: type) -> Callable[[int, tuple[int, ...]], int]:
    """Compile a loop `(n, words)` that calls the C function at `address` and counts results other than zero.

    Parameters
    ----------
    address
        Of a function whose arguments are all integers or pointers, one 64-bit word each.
    n_words
        How many arguments it has.
    result
        The ctypes integer that it returns.
    """
    function = ctypes.CFUNCTYPE(result, *[ctypes.c_int64] * n_words)(address)

    @numba.njit(nogil=True)
    def loop(n, words):
        failures = 0
        for _ in range(n):
            failures += function(*words) != 0
        return failures

    return loop
