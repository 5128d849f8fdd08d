"""What the chains of a run have drawn so far, for callbacks and handles."""

from collections.abc import Sequence

import numpy as np

from nutmill.progress.lines import ChainProgress
from nutmill.run.groups import Group, chains_of


class DrawsSoFar:
    """The first draws of all chains, as many as each of them had when this was made, in the driver's thread.

    What is drawn beyond the draws that `rows`, the progress of all chains, tell of is not kept; there are none while a
    chain is in its warmup.
    """

    def __init__(self, groups: Sequence[Group], rows: Sequence[ChainProgress]):
        self._chains = chains_of(groups)
        written = (group.store.n_written("draws", chain) for group, chain in self._chains)
        self.n_draws = min([n_drawn(rows), *written])

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy them, from any thread, while chains run and afterwards.

        Returns draws (chains, n_draws, n_dim) float64 on the unconstrained scale, and statistics (chains, n_draws).
        """
        pairs = [group.store.read("draws", chain) for group, chain in self._chains]
        draws, statistics = (np.stack([rows[: self.n_draws] for rows in chains]) for chains in zip(*pairs, strict=True))
        return draws, statistics


def n_drawn(rows: Sequence[ChainProgress]) -> int:
    """Return how many draws all chains have, as their progress tells; 0 while one is in its warmup."""
    return min((0 if row.phase == "warmup" else row.draw for row in rows), default=0)
