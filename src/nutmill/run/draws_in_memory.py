"""What chains make, in memory: the store of a run without a folder, with the methods of the one on disk."""

from collections.abc import Sequence

import numpy as np

from nutmill.checkpoint.streams import stream_of
from nutmill.nuts.state import GroupState


class DrawsInMemory:
    """What the chains of a group make, in arrays that have room for all of it; `GroupKeeper` writes it to files.

    `of_run` are draws and statistics of all groups of the run, of which those of `state` are a part.
    """

    # A whole stage can be drawn in one call.
    is_windowed = False

    def __init__(self, state: GroupState, of_run: tuple[np.ndarray, np.ndarray]):
        self._state = state
        self._of_run = of_run

    def append(self, chain: int) -> None:
        """Take what a chain at rest has drawn since the last time; it lies there already."""

    def n_written(self, kind: str, chain: int) -> int:
        """Return how many rows of one kind a chain has made, and there is room for."""
        stream = stream_of(kind)
        return min(stream.n_made(self._state.group[0], self._state.chains[chain]), stream.room(self._state))

    def read(self, kind: str, chain: int) -> list[np.ndarray]:
        """Give the rows of one kind that a chain has made: an array (n, ...) for each field, uncopied."""
        n_rows = self.n_written(kind, chain)
        return [array[chain, :n_rows] for array in stream_of(kind).arrays(self._state)]

    def joined(self, stores: Sequence["DrawsInMemory"], kind: str, parts: Sequence[slice]) -> list[np.ndarray]:
        """Give a part of the rows of all groups of a run, one a group: an array (chains, n, ...) for each field."""
        if kind == "draws":  # never copied: they may fill the memory
            return [array[:, parts[0]] for array in self._of_run]
        stream = stream_of(kind)
        of_groups = [
            [array[:, part] for array in stream.arrays(store._state)] for store, part in zip(stores, parts, strict=True)
        ]
        return [np.concatenate(arrays) for arrays in zip(*of_groups, strict=True)]
