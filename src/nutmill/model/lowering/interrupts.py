"""Ctrl-C and other signals while a model is compiled: none is lost, whatever code it arrives in."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def no_lost_interrupt() -> Iterator[None]:
    """Let KeyboardInterrupt, and what the handlers of other signals raise, end the block wherever it is raised in it.

    LLVM compiles for seconds in one call, during which Python cannot act on a signal. The first Python code after it is
    a callback of llvmlite's, and what is raised there ctypes prints, with sixty lines of traceback, and drops. Here it
    is not printed, and the signal comes once more at the end of the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread
        return
    heard = _Heard()
    try:
        heard.begin()
        yield
    finally:
        heard.end()
    if heard.number is not None:
        signal.raise_signal(heard.number)


class _Heard:
    """Handlers around those that there are, and a hook for what they raise in vain."""

    def __init__(self) -> None:
        self.number: int | None = None  # of the last signal whose handler has raised something
        self._raised: BaseException | None = None
        self._before: dict[int, Callable] = {
            number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))
        }
        self._hook = sys.unraisablehook

    def begin(self) -> None:
        for number in self._before:
            signal.signal(number, self._handle)
        sys.unraisablehook = self._take

    def end(self) -> None:
        sys.unraisablehook = self._hook
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame) -> None:
        try:
            self._before[number](number, frame)
        except BaseException as error:
            self.number, self._raised = number, error
            raise

    def _take(self, unraisable) -> None:
        if unraisable.exc_value is None or unraisable.exc_value is not self._raised:
            self._hook(unraisable)
