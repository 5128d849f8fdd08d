"""From unconstrained draws to reported variables: in memory, or from files into files, block by block."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nutmill import trace
from nutmill.compiled import CompiledModel

# Arrays below this stay in memory: a file for each would only be in the way.
_LARGE_BYTES = 1 << 24
_BLOCK_BYTES = 1 << 24


class DrawsMaker:
    """Makes what the chains drew in one phase of what the driver gives.

    Parameters
    ----------
    compiled : CompiledModel
    threads : int
        How many blocks of draws are computed at the same time.
    unconstrained : bool
        Keep the draws on the unconstrained scale as well.
    folder : Path or None
        For arrays of draws that lie in files; what earlier sessions left there is removed.
    """

    def __init__(self, compiled: CompiledModel, threads: int, unconstrained: bool, folder: Path | None):
        self._compiled = compiled
        self._threads = threads
        self._unconstrained = unconstrained
        self._folder = folder
        self._numbers = itertools.count()
        if folder is not None:
            for path in folder.iterdir():  # whoever has opened them keeps them
                path.unlink()

    def make(self, draws: Sequence[np.ndarray], statistics: Sequence[np.ndarray]) -> trace.Draws:
        """Expand draws (chains, n, n_dim), or chains of (n, n_dim) that lie in files."""
        if isinstance(draws, np.ndarray):
            pieces = self._compiled.split(draws) if self._unconstrained else None
            return trace.Draws(self._compiled.expand(draws, self._threads), statistics, pieces)
        kept = self._empty((len(statistics), len(statistics[0])), statistics[0].dtype)
        for chain, rows in enumerate(statistics):
            kept[chain] = rows
        return trace.Draws(
            self._filled(draws, lambda block: self._compiled.expand(block, self._threads)),
            _private(kept),
            self._filled(draws, self._compiled.split) if self._unconstrained else None,
        )

    def _filled(self, draws: Sequence[np.ndarray], expand) -> dict[str, np.ndarray]:
        n_chains, n_draws, n_dim = len(draws), *draws[0].shape
        like = expand(np.zeros((1, n_dim)))
        row_bytes = 8 * n_dim + sum(values.nbytes for values in like.values())
        n_rows = max(1, _BLOCK_BYTES // row_bytes)
        filled = {
            name: self._empty((n_chains, n_draws, *values.shape[1:]), values.dtype) for name, values in like.items()
        }
        for chain, first in itertools.product(range(n_chains), range(0, n_draws, n_rows)):
            block = np.ascontiguousarray(draws[chain][first : first + n_rows])
            for name, values in expand(block).items():
                filled[name][chain, first : first + n_rows] = values
        return {name: _private(values) for name, values in filled.items()}

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Make room, in a file if it is large."""
        if self._folder is None or math.prod(shape) * np.dtype(dtype).itemsize < _LARGE_BYTES:
            return np.zeros(shape, dtype)
        path = self._folder / f"{next(self._numbers):04d}.array"
        return np.memmap(path, dtype, mode="w+", shape=shape)


def _private(array: np.ndarray) -> np.ndarray:
    """Open what has been written to a file anew: what users change in it stays in memory."""
    if not isinstance(array, np.memmap):
        return array
    array.flush()
    return np.memmap(array.filename, array.dtype, mode="c", shape=array.shape)
