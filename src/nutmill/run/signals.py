"""Signals that ask a run to end: caught within a `with`, and only in the main thread."""

import signal
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

# Ctrl-C; what schedulers send before they kill.
INTERRUPT = (signal.SIGINT,)
ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Notes the first signal of some kinds; a second one of the same kind acts as it did before.

    Attributes
    ----------
    caught : str or None
        Its name.
    """

    def __init__(self, signals: Iterable[signal.Signals]):
        self.caught: str | None = None
        self._signals = signals
        self._before: dict[int, Callable | int | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number in list(self._before):
            self._restore(number)

    def _note(self, number: int, _frame) -> None:
        self.caught = self.caught or signal.Signals(number).name
        self._restore(number)

    def _restore(self, number: int) -> None:
        before = self._before.pop(number, None)
        # None: it was set by code that is not Python's, and cannot be given back.
        if before is not None:
            signal.signal(number, before)
