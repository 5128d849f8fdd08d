"""From unconstrained draws to reported variables: in memory, or from files into files, block by block."""

from __future__ import annotations

import itertools
import math
import os
import re
from contextlib import suppress
from pathlib import Path

import numpy as np

from nutmill.checkpoint.records import telling
from nutmill.files import kind_of, open_plain
from nutmill.native.compiled import CompiledModel
from nutmill.results import trace
from nutmill.run.run import Chains

# Arrays below this stay in memory: a file for each would only be in the way.
_LARGE_BYTES = 1 << 24
_BLOCK_BYTES = 1 << 24
_OURS = re.compile(r"\d{4,}\.array")


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
        For arrays of draws that lie in files; those that earlier sessions left there are removed, and nothing else.
    """

    def __init__(self, compiled: CompiledModel, threads: int, unconstrained: bool, folder: Path | None):
        self._compiled = compiled
        self._threads = threads
        self._unconstrained = unconstrained
        self._folder = folder
        self._numbers = itertools.count()
        if folder is not None:
            for path in folder.iterdir():
                if _OURS.fullmatch(path.name) and kind_of(path) == "a file":
                    path.unlink(missing_ok=True)  # whoever has opened it keeps it

    def make(self, draws: Chains, statistics: Chains) -> trace.Draws:
        """Expand draws (chains, n, n_dim), or chains of (n, n_dim) that lie in files."""
        if isinstance(draws, np.ndarray) and isinstance(statistics, np.ndarray):
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

    def log_likelihood(self, draws: Chains) -> dict[str, np.ndarray]:
        """Compute the log likelihood of each observation for draws as `make` takes them."""

        def expand(block: np.ndarray) -> dict[str, np.ndarray]:
            return self._compiled.log_likelihood(block, self._threads)

        return expand(draws) if isinstance(draws, np.ndarray) else self._filled(draws, expand)

    def _filled(self, draws: Chains, expand) -> dict[str, np.ndarray]:
        n_chains, (n_draws, n_dim) = len(draws), draws[0].shape
        like = expand(self._compiled.binding.inside[None])
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
        path, n_bytes = self._new_file(self._folder), math.prod(shape) * np.dtype(dtype).itemsize
        if hasattr(os, "posix_fallocate"):  # where a page that is written to finds no room, the system ends the process
            with telling(self._folder.parent), os.fdopen(open_plain(path, os.O_RDWR), "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
        return np.memmap(path, dtype, mode="r+", shape=shape)

    def _new_file(self, folder: Path) -> Path:
        """Make a file under the next number that is free."""
        while True:
            path = folder / f"{next(self._numbers):04d}.array"
            with telling(folder.parent), suppress(FileExistsError):
                os.close(open_plain(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
                return path


def _private(array: np.ndarray) -> np.ndarray:
    """Open what has been written to a file anew: what users change in it stays in memory."""
    if not isinstance(array, np.memmap) or array.filename is None:
        return array
    array.flush()
    return np.memmap(array.filename, array.dtype, mode="c", shape=array.shape)
