"""Judges the draws of a run while it goes on: at fixed counts, in order, in a thread of its own."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np

from nutmill.run.ending import LOOKS, Until, counts_to_judge
from nutmill.run.groups import Group


class Judge:
    """Tells at which count the draws of all chains were enough; used from the driver's thread, within a `with`.

    What it tells depends on draws alone, not on when it is asked: counts are judged one after the other, also those
    that chains have passed long ago.

    Attributes
    ----------
    n_enough : int or None
        The first count at which they were, as at the count before it.
    """

    def __init__(self, until: Until | None, draws: int, groups: Sequence[Group], mixing: int):
        self.n_enough: int | None = None
        self._n_good = 0  # counts in a row at which draws were good enough
        self._until = until
        self._groups = groups
        self._mixing = mixing
        self._counts = [] if until is None else counts_to_judge(draws)
        self._judging: Future | None = None

    def __enter__(self) -> Self:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="nutmill-judge")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._executor.shutdown(wait=True)

    def go_on(self) -> set[Future]:
        """Take a judgement that was made, and begin the next if its draws are there; return what to wait for."""
        if self._judging is not None and self._judging.done():
            count = self._counts.pop(0)
            self._n_good = self._n_good + 1 if self._judging.result() else 0
            if self._n_good == LOOKS:
                self.n_enough, self._counts = count, []
            self._judging = None
        is_due = self._judging is None and self._counts and self._n_at_hand() >= self._counts[0]
        if self._until is not None and is_due:
            self._judging = self._executor.submit(self._is_enough, self._until, self._counts[0])
        return set() if self._judging is None else {self._judging}

    def _n_at_hand(self) -> int:
        return min(group.n_at_hand(chain) for group in self._groups for chain in range(len(group.chain_ids)))

    def _is_enough(self, until: Until, count: int) -> bool:
        chains = [group.positions(chain)[:count] for group in self._groups for chain in range(len(group.chain_ids))]
        return until.is_met(np.stack(chains), self._mixing)
