"""Ctrl-C while a model is compiled: heard, wherever it comes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_lost_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of the block if one came within it that nothing could catch.

    LLVM compiles for seconds in one call, during which Python cannot act on a signal. The first Python code after it is
    a callback of llvmlite's, and what is raised there ctypes prints and drops.
    """
    default = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not default:
        yield  # signals go to somebody else, who knows what to do
        return
    came = False

    def note(number: int, frame) -> None:
        nonlocal came
        came = True
        default(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, default)
    if came:
        raise KeyboardInterrupt
