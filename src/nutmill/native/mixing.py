"""R-hat and effective sample sizes of draws, by the kernel's compiled code; equal to ArviZ's."""

import ctypes
from typing import NamedTuple

import numpy as np

from nutmill.nuts.mixing_room import room_for
from nutmill.nuts.state import address_table


class Mixing(NamedTuple):
    """How chains mix, one entry for each scalar (Vehtari et al. 2021).

    Attributes
    ----------
    rhat : (n,) float64
        The larger one of rank-normalised split R-hat and that of folded draws. Infinite where chains never moved or
        draws are not finite; NaN with a single chain.
    ess_bulk, ess_tail : (n,) float64
        Effective sample sizes of all chains together; 0 where draws are not finite.
    """

    rhat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray


def mixing_of(address: int, draws: np.ndarray) -> Mixing:
    """Compute how chains mix, without the GIL.

    Parameters
    ----------
    address : int
        Of the kernel's entry `mixing`.
    draws : (n_chains, n_draws, n_scalars)
        Four draws a chain at least.
    """
    draws = np.ascontiguousarray(draws, dtype=np.float64)
    finite = np.isfinite(draws).all(axis=(0, 1))
    room = room_for(draws)
    table = address_table(room)
    function = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 3)(address)
    function(table.ctypes.data, 0, draws.shape[2])
    rhat, ess_bulk, ess_tail = (np.where(finite, found, 0.0) for found in room.found.T)
    rhat = np.where(finite & ~np.isnan(rhat), rhat, np.inf)
    return Mixing(np.full_like(rhat, np.nan) if len(draws) == 1 else rhat, ess_bulk, ess_tail)
