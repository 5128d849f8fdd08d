"""Numbers, as of threads, that a library has once in a process: the first user sets one, the last restores it.

OpenBLAS has one number of threads for all threads that call it. Runs that overlap and need the same one share it; one
that needs another waits, because a number that changes while chains run changes their draws.
"""

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

from nutmill.errors import LayoutError

_log = logging.getLogger("nutmill")

# How often one who waits looks up, so that Ctrl-C is heard whichever thread the signal met.
_LOOK_S = 0.25


class Setting(NamedTuple):
    """A number that a library keeps for the whole process."""

    name: str  # of the library and what it counts; the same for everybody who means the same
    get: Callable[[], int]
    set: Callable[[int], object]  # may have no effect where another part of the program holds it
    restore: Callable[[int], object]  # sets it whoever holds it


Wanted = Sequence[tuple[Setting, int]]


@contextmanager
def held(
    wanted: Wanted,
    while_waiting: Callable[[], object] | None = None,
    *,
    is_needed: bool = True,
    let_go: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Keep each setting at its number while in the `with`; what was there before comes back when nobody needs it.

    Waits as long as other threads need other numbers. Within one thread it may nest, as long as nobody else shares
    what is in effect.

    Parameters
    ----------
    wanted : sequence of (Setting, int)
    while_waiting : callable, optional
        Called four times a second while this waits; what it raises ends the wait.
    is_needed : bool
        False: any number will do. Then this neither waits nor is waited for.
    let_go : callable
        Called after that, before anybody who waits goes on.

    Raises
    ------
    LayoutError
        If this thread shares a number with others, and now needs another: it would wait for itself.
    """
    _follow_forks()
    owner = _owner
    owner.enter(wanted, while_waiting, is_needed)
    try:
        yield
    finally:
        if owner is _owner:  # else this is a fork of the process that entered
            owner.leave(wanted, is_needed, let_go)


class _Level:
    """A number in effect, and how many times each thread needs it, or came to it and would do with any other."""

    def __init__(self, setting: Setting, number: int):
        self.setting, self.number = setting, number
        self.before = self.effective = setting.get()
        self.users: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}

    @property
    def is_used(self) -> bool:
        """Whether any thread needs it, or came to it."""
        return any(map(len, self.users.values()))

    def set(self, *, insist: bool) -> None:
        """Set the number, unless it is that already; `insist` where it is one of this owner's that it replaces."""
        if self.setting.get() != self.number:
            (self.setting.restore if insist else self.setting.set)(self.number)
        self.effective = self.setting.get()

    def undo(self) -> None:
        """Bring back what was before, unless another part of the program has changed it since."""
        if self.setting.get() == self.effective != self.before:
            self.setting.restore(self.before)


class _Owner:
    """What holds in one process: for each setting the levels that one thread has nested, mostly one."""

    def __init__(self):
        self._changed = threading.Condition()
        self._levels: dict[str, list[_Level]] = {}

    def enter(self, wanted: Wanted, while_waiting: Callable[[], object] | None, is_needed: bool) -> None:
        me = threading.get_ident()
        with self._changed:
            if is_needed:
                self._wait(wanted, me, while_waiting)
            entered = []
            try:
                for setting, number in wanted:
                    entered.append((setting, number))
                    self._join(setting, number, me, is_needed)
            except BaseException:
                self._leave(entered, me, is_needed)
                raise

    def leave(self, wanted: Wanted, is_needed: bool, let_go: Callable[[], object]) -> None:
        with self._changed:
            try:
                self._leave(wanted, threading.get_ident(), is_needed)
                let_go()
            finally:
                self._changed.notify_all()

    def abandon(self) -> None:
        """Undo all; nobody uses it any more."""
        for levels in self._levels.values():
            for level in reversed(levels):
                level.undo()

    def _wait(self, wanted: Wanted, me: int, while_waiting: Callable[[], object] | None) -> None:
        is_logged = False
        while (obstacle := self._obstacle(wanted, me)) is not None:
            in_effect, needed = obstacle
            if any(level.users[True][me] for levels in self._levels.values() for level in levels):
                raise LayoutError(
                    f"This thread has applied a layout with {in_effect} BLAS threads, which other runs in this process "
                    f"share, and now needs {needed}; a process has one number: end the layout first."
                )
            if not is_logged:
                _log.warning(
                    "Waiting for other runs in this process: they have %d BLAS threads and this one needs %d, and a "
                    "process has one number. Each begins in turn, and draws what it would draw alone.",
                    in_effect,
                    needed,
                )
            is_logged = True
            self._changed.wait(_LOOK_S)
            if while_waiting is not None:
                while_waiting()

    def _obstacle(self, wanted: Wanted, me: int) -> tuple[int, int] | None:
        """A number in effect for others, and the one that is needed in its place."""
        for setting, number in wanted:
            for level in self._levels.get(setting.name, ()):
                if level.number != number and any(thread != me for thread in level.users[True]):
                    return level.number, number
        return None

    def _join(self, setting: Setting, number: int, me: int, is_needed: bool) -> None:
        levels = self._levels.setdefault(setting.name, [])
        if not levels or (is_needed and levels[-1].number != number):
            levels.append(_Level(setting, number))
        levels[-1].users[is_needed][me] += 1
        levels[-1].set(insist=any(level.effective == level.number for level in levels[:-1]))

    def _leave(self, wanted: Wanted, me: int, is_needed: bool) -> None:
        for setting, _ in reversed(wanted):
            levels = self._levels.get(setting.name, [])
            mine = next((level for level in reversed(levels) if level.users[is_needed][me] > 0), None)
            if mine is None:  # an interrupt came before it was joined
                continue
            mine.users[is_needed][me] -= 1
            mine.users[is_needed] += Counter()  # without those that are at zero
            if not mine.is_used:
                _take_out(mine, levels)
            if not levels:
                del self._levels[setting.name]


def _take_out(level: _Level, levels: list[_Level]) -> None:
    place = levels.index(level)
    levels.remove(level)
    if place == len(levels):
        level.undo()
    else:  # what is above it was begun while nobody needed this
        levels[place].before = level.before


_owner = _Owner()


@cache
def _follow_forks() -> None:
    """Let a fork of this process begin with what was before: the threads that need it now are not there."""
    if "register_at_fork" in dir(os):
        os.register_at_fork(after_in_child=_begin_anew)


def _begin_anew() -> None:
    global _owner
    left, _owner = _owner, _Owner()
    left.abandon()
