"""Keeps a run on disk while it goes on: when states are taken, and the thread that brings them to the disk."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from nutmill.run.groups import Group

_SHORTEST_S = 0.01


class Keeping:
    """Takes checkpoints of all groups every so many seconds; used from the driver's thread, within a `with`.

    Parameters
    ----------
    groups : sequence of Group
        Each with a keeper.
    every_s : float
    facts : callable
        Gives what is saved beside the state of a group (JSON), when it is taken.
    on_saved : callable
        Called when the state of a group has come to the disk.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        every_s: float,
        facts: Callable[[Group], dict],
        on_saved: Callable[[], None],
    ):
        self._groups = groups
        self._every_s = max(every_s, _SHORTEST_S)
        self._facts = facts
        self._on_saved = on_saved
        self._due_s = time.monotonic() + self._every_s
        self._waiting: set[int] = set()  # groups whose state is due, and cannot be taken in this phase
        self._saves: list[Future] = []

    def __enter__(self) -> Self:
        # One thread, because the disk is one.
        self._saver = ThreadPoolExecutor(1, thread_name_prefix="nutmill-saver")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._saver.shutdown(wait=True)

    def at_rest(self, group: Group, chain: int) -> None:
        """Take note that a native call of a chain has returned, before another is made."""
        cut = group.files.at_rest(chain)
        if cut is not None:
            self._saves.append(self._saver.submit(group.files.save, cut, self._facts(group)))

    def tick(self) -> None:
        """Begin to take states when it is time."""
        self._collect(wait=False)
        now = time.monotonic()
        if now >= self._due_s and not self._saves:
            self._due_s = now + self._every_s
            self._waiting = set(range(len(self._groups)))
        for number in sorted(self._waiting):
            group = self._groups[number]
            if group.files.is_cutting or self._cut(group):
                self._waiting.remove(number)

    def finish(self) -> None:
        """Save the states of all groups, whose chains are all at rest; they are on the disk when this returns."""
        for group in self._groups:
            self._cut(group)
        self._collect(wait=True)

    def _cut(self, group: Group) -> bool:
        if not group.files.begin_cut():
            return False
        for chain in range(len(group.chain_ids)):
            if chain not in group.running:
                self.at_rest(group, chain)
        return True

    def _collect(self, wait: bool) -> None:
        """Let go of saves that have ended, and raise what went wrong in them."""
        for save in [save for save in self._saves if wait or save.done()]:
            self._saves.remove(save)
            save.result()
            self._on_saved()
