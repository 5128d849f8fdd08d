"""R-hat, effective sample sizes and standard errors of draws, by the kernel's compiled code; equal to ArviZ's."""

import ctypes
from typing import NamedTuple

import numpy as np

from nutmill.nuts.state import address_table
from nutmill.nuts.summaries.mixing_room import N_MIXINGS, N_PRECISIONS, SUMMARY, MixingRoom, room_for

# A chain is split in two halves, and each needs two draws to have a variance.
MIN_DRAWS = 4
_FIRST_OF_MIXING = SUMMARY.index("r_hat")
_PROBABILITIES = (0.05, 0.5, 0.95)
# One standard error below and above (ArviZ's digits).
_ONE_ERROR = (0.1586553, 0.8413447)


class Mixing(NamedTuple):
    """How chains mix, one entry for each scalar (Vehtari et al. 2021)."""

    # (n,) float64: the larger one of rank-normalised split R-hat and that of folded draws. Infinite where chains never
    # moved or draws are not finite; NaN with a single chain.
    rhat: np.ndarray
    # (n,) float64: effective sample sizes of all chains together; 0 where draws are not finite.
    ess_bulk: np.ndarray
    ess_tail: np.ndarray


def mixing_of(address: int, draws: np.ndarray) -> Mixing:
    """Compute how chains mix, without the GIL.

    `address` is that of the kernel's entry `mixing`; `draws` (n_chains, n_draws, n_scalars) are four a chain at least.
    """
    draws = np.ascontiguousarray(draws, dtype=np.float64)
    finite = np.isfinite(draws).all(axis=(0, 1))
    room = room_for(draws, N_MIXINGS)
    _fill(address, room)
    rhat, ess_bulk, ess_tail = (np.where(finite, found, 0.0) for found in room.found.T)
    rhat = np.where(finite & ~np.isnan(rhat), rhat, np.inf)
    return Mixing(np.full_like(rhat, np.nan) if len(draws) == 1 else rhat, ess_bulk, ess_tail)


class Precision(NamedTuple):
    """Monte Carlo standard errors of estimates from draws, one for each scalar; NaN where draws are not finite."""

    # (n,) float64: of all draws; what errors are compared with.
    mean: np.ndarray
    sd: np.ndarray
    mcse_mean: np.ndarray  # (n,) float64
    mcse_sd: np.ndarray  # (n,) float64
    # (n,) float64: of the 5 %, 50 % and 95 % quantiles.
    mcse_low: np.ndarray
    mcse_median: np.ndarray
    mcse_high: np.ndarray


def precision_of(address: int, draws: np.ndarray) -> Precision:
    """Compute how precise estimates are, without the GIL; see `mixing_of` for the arguments."""
    draws = np.array(draws, dtype=np.float64, order="C")  # a copy, to be put in order
    finite = np.isfinite(draws).all(axis=(0, 1))
    draws[..., ~finite] = 0.0
    room = room_for(draws, N_PRECISIONS)
    _fill(address, room)
    ordered = draws.reshape(-1, draws.shape[2])
    found = [np.where(finite, column, np.nan) for column in room.found.T]
    errors = [_quantile_error(ordered, p, ess) for p, ess in zip(_PROBABILITIES, found[4:], strict=True)]
    return Precision(*found[:4], *errors)


class Summaries:
    """Summarises draws of one fit after the other, in arrays that all of the same size share; of one thread."""

    def __init__(self) -> None:
        self._rooms: dict[tuple[int, int], MixingRoom] = {}

    def of(self, address: int, draws: np.ndarray) -> np.ndarray:
        """Compute what `SUMMARY` names, without the GIL; the arguments are those of `mixing_of`.

        Gives (n_scalars, 9) float64: NaN where draws are not finite, and, of how chains mix, where they never change,
        are fewer than four a chain, or come from a single chain (R-hat).
        """
        draws = np.ascontiguousarray(draws, dtype=np.float64)
        n_chains, n_draws, n_scalars = draws.shape
        found = np.full((n_scalars, len(SUMMARY)), np.nan)
        if n_draws < MIN_DRAWS or n_scalars == 0:
            return found
        if (n_chains, n_draws) not in self._rooms:
            self._rooms[n_chains, n_draws] = room_for(np.zeros((n_chains, n_draws, 1)), len(SUMMARY))
        _fill(address, self._rooms[n_chains, n_draws]._replace(draws=draws, found=found))
        flat = draws.reshape(-1, n_scalars)
        least, most = flat.min(axis=0), flat.max(axis=0)
        found[~(np.isfinite(least) & np.isfinite(most))] = np.nan
        found[least == most, _FIRST_OF_MIXING:] = np.nan
        if n_chains == 1:
            found[:, SUMMARY.index("r_hat")] = np.nan
        return found


def _quantile_error(ordered: np.ndarray, probability: float, ess: np.ndarray) -> np.ndarray:
    """Take half the distance between two draws that hold the quantile with the probability of one standard error.

    The share of draws below a quantile has a beta distribution (Vehtari et al. 2021, section 4.4).
    """
    from scipy.special import betaincinv  # takes 0.1 s to import, which few runs ask for

    n = len(ordered)
    low, high = (betaincinv(ess * probability + 1, ess * (1 - probability) + 1, p) * n - 1 for p in _ONE_ERROR)
    known = ~np.isnan(ess)
    below = np.floor(np.where(known, low, 0.0)).clip(0, n - 1).astype(np.int64)
    above = np.ceil(np.where(known, high, 0.0)).clip(0, n - 1).astype(np.int64)
    column = np.arange(ordered.shape[1])
    return np.where(known, (ordered[above, column] - ordered[below, column]) / 2, np.nan)


def _fill(address: int, room: MixingRoom) -> None:
    table = address_table(room)
    function = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 3)(address)
    function(table.ctypes.data, 0, room.draws.shape[2])
