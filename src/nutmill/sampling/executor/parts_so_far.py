"""What groups that are sampled apart have drawn so far: those that came back, and what others have saved."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nutmill.checkpoint.manifest import has_begun
from nutmill.nuts.state import STATISTICS
from nutmill.progress.lines import ChainProgress
from nutmill.run.checkpoints import read_groups
from nutmill.run.groups import chains_of
from nutmill.run.so_far import n_drawn
from nutmill.sampling.executor.worker import Answer, Task


class PartsSoFar:
    """The first draws of all chains, as `run.so_far.DrawsSoFar`, for chains that other processes may sample.

    `answers` are those of the tasks that have come back, by number. There are no draws before all groups came back or
    have saved some in their folders, and none that have not been saved, however many `rows` tell of.
    """

    def __init__(self, tasks: Sequence[Task], answers: Mapping[int, Answer], rows: Sequence[ChainProgress]):
        self._tasks, self._answers = tasks, dict(answers)
        self._most = n_drawn(rows)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy them, from any thread, while chains run and afterwards.

        Returns draws (chains, n, n_dim) float64 on the unconstrained scale, and statistics (chains, n).
        """
        chains = [chain for number in range(len(self._tasks)) for chain in self._chains(number)]
        n_draws = min([self._most, *(len(draws) for draws, _ in chains)])
        draws, statistics = (np.stack([rows[:n_draws] for rows in of_all]) for of_all in zip(*chains, strict=True))
        return draws, statistics

    def _chains(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give draws (n, n_dim) and statistics (n,) of each chain of a task."""
        task, answer = self._tasks[number], self._answers.get(number)
        if answer is not None and answer.run is not None:
            yield from zip(answer.run.draws, answer.run.statistics, strict=True)
        elif task.part_folder is not None and has_begun(task.part_folder.path):
            for group, chain in chains_of(read_groups(task.part_folder.path, task.chain_ids)):
                draws, statistics = group.store.read("draws", chain)
                yield draws, statistics
        else:
            n_dim = task.initial.shape[1]
            yield from ((np.empty((0, n_dim)), np.empty(0, STATISTICS)) for _ in task.chain_ids)
