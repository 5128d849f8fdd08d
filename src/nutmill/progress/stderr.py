"""Prints to stderr; where it is full, closed or has no reader, lines are lost, but never the run."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

_log = logging.getLogger("nutmill")

_is_shown: ContextVar[bool] = ContextVar("is_shown", default=True)


def say(line: str) -> None:
    """Print a line on stderr as it is now, where that can be done."""
    if sys.stderr is not None:
        with unheard():
            print(line, file=sys.stderr, flush=True)


def announce(what: str) -> None:
    """Say and log what now begins and takes seconds, so that nobody takes the silence for a hang."""
    with unheard():
        _log.info(what)
    if _is_shown.get():
        say(what)


@contextmanager
def showing(progressbar: bool) -> Iterator[None]:
    """Say what is announced within the `with`, unless somebody around it wants silence."""
    token = _is_shown.set(_is_shown.get() and progressbar)
    try:
        yield
    finally:
        _is_shown.reset(token)


def is_terminal() -> bool:
    """Whether stderr is a terminal."""
    with unheard():
        return sys.stderr is not None and sys.stderr.isatty()
    return False


def unheard() -> suppress:
    """Go on after a `with` whose words could not be written; `logging` itself stumbles over a stderr that is closed."""
    return suppress(OSError, ValueError)
