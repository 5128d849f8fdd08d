"""The arrays in which compiled code judges draws, as Python lays them out; needs no Numba."""

from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

# Numbers are sorted by so many digits of so many bits at a time.
DIGITS, DIGIT_BITS = 3, 11
VALUES = 2**DIGIT_BITS
# How many things `mixing.judge` and `precision.measure` find of each scalar, and what `scalar_summary.summarise` finds.
N_MIXINGS, N_PRECISIONS = 3, 7
SUMMARY = ("mean", "sd", "mcse_mean", "q5", "median", "q95", "r_hat", "ess_bulk", "ess_tail")


class MixingRoom(NamedTuple):
    """Draws to judge, what is found, and arrays to work in.

    Of each scalar there are n draws of all chains together, m of them in halves of h draws.
    """

    # (n_chains, n_draws, n_scalars) float64: finite. `precision.measure` leaves the draws of each scalar in ascending
    # order, chain after chain.
    draws: np.ndarray
    # (n_scalars, 3, 7 or 9) float64: R-hat, bulk and tail effective sample size; or what `precision.measure` or
    # `scalar_summary.summarise` finds.
    found: np.ndarray
    scores: np.ndarray  # (2 m + 1,) float64: normal score of each half of a rank
    # (2, 2**k) float64: cosines and sines of the transform: from the place `span` on, those of so many steps of half a
    # circle.
    waves: np.ndarray
    values: np.ndarray  # (n,) float64: the draws of one scalar, chain after chain
    bits: np.ndarray  # (n,) int64: the memory of `values`
    order: np.ndarray  # (2, n) int64
    counts: np.ndarray  # (DIGITS, VALUES) int64
    place_of: np.ndarray  # (n,) int64: where each draw lies in `flat`; -1 in the middle of a chain of odd length
    # (m,) float64: the draws in halves, ascending; their distances from the median, ascending.
    ordered: np.ndarray
    folded: np.ndarray
    # (m,) int64: where `ordered` and `folded` lie in `flat`.
    places: np.ndarray
    folded_places: np.ndarray
    z: np.ndarray  # (2 n_chains, h) float64: what is judged: scores or indicators of the halves
    flat: np.ndarray  # (m,) float64: the memory of `z`
    rho: np.ndarray  # (h,) float64
    spectrum: np.ndarray  # (3, 2**k) float64, with room for 2 h


# The dtype and rank of each array, by its name: of a `MixingRoom`, so that Numba knows what to make of the arrays.
_with_each: Callable[..., Any] = MixingRoom
ROOM_FIELDS = _with_each(
    draws=(np.float64, 3),
    found=(np.float64, 2),
    scores=(np.float64, 1),
    waves=(np.float64, 2),
    values=(np.float64, 1),
    bits=(np.int64, 1),
    order=(np.int64, 2),
    counts=(np.int64, 2),
    place_of=(np.int64, 1),
    ordered=(np.float64, 1),
    folded=(np.float64, 1),
    places=(np.int64, 1),
    folded_places=(np.int64, 1),
    z=(np.float64, 2),
    flat=(np.float64, 1),
    rho=(np.float64, 1),
    spectrum=(np.float64, 2),
)


def room_for(draws: np.ndarray, n_found: int) -> MixingRoom:
    """Make a room for C-contiguous draws (n_chains, n_draws, n_scalars) float64, of four draws a chain at least.

    `n_found` is the number of things to find of each scalar.
    """
    n_chains, n_draws, n_scalars = draws.shape
    n, half = n_chains * n_draws, n_draws // 2
    m, size = 2 * n_chains * half, 1 << (2 * half - 1).bit_length()
    spans = 2 ** np.arange(size.bit_length() - 1)
    angles = np.concatenate([[0.0], *(np.pi * np.arange(span) / span for span in spans)])
    values, z = np.empty(n), np.empty((2 * n_chains, half))
    place_of = np.full((n_chains, n_draws), -1)
    place_of[:, :half], place_of[:, n_draws - half :] = np.arange(m).reshape(n_chains, 2, half).swapaxes(0, 1)
    return MixingRoom(
        draws=draws,
        found=np.empty((n_scalars, n_found)),
        scores=_normal_scores(m),
        waves=np.stack([np.cos(angles), np.sin(angles)]),
        values=values,
        bits=values.view(np.int64),
        order=np.empty((2, n), np.int64),
        counts=np.empty((DIGITS, VALUES), np.int64),
        place_of=place_of.ravel(),
        ordered=np.empty(m),
        folded=np.empty(m),
        places=np.empty(m, np.int64),
        folded_places=np.empty(m, np.int64),
        z=z,
        flat=z.reshape(m),
        rho=np.empty(half),
        spectrum=np.empty((3, size)),
    )


@lru_cache(maxsize=4)
def _normal_scores(m: int) -> np.ndarray:
    """Scores of ranks 0, 1/2, 1, ... m by Blom (1958); those below 1 are not used."""
    score, twice = NormalDist().inv_cdf, range(2, m + 2)
    lower = np.array([score((k / 2 - 3 / 8) / (m + 1 / 4)) for k in twice])  # the upper half mirrors it
    return np.concatenate([[-np.inf, -np.inf], lower, -lower[-2::-1]])
