"""Signals to a command: one whose work can be gone on with ends with 3, whatever it was at when the signal came."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from nutmill.progress.stderr import say

# What schedulers send before they kill. Ctrl-C raises KeyboardInterrupt without our help, once a command is known.
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# What ends a command that nothing could go on with; the last one comes from a terminal that is closed.
_ENDING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_DEFAULTS: dict[signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object]] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGUSR1: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}

# What is raised may be dropped (other packages catch everything in places): the signal then comes once more.
_AGAIN_S = 1.0

# Those that came before a command knew what they mean to it.
_early: list[int] = []


class Stopped(BaseException):
    """A signal has come. No Exception: nobody should take it for a failure and go on."""


def hold_signals() -> None:
    """Note signals from the start of the process on; `release_signals` or `stoppable` act on them.

    A signal that somebody wanted ignored, or has a handler for, stays theirs.
    """
    for number, default in _DEFAULTS.items():
        if signal.getsignal(number) is default:
            signal.signal(number, _note)


def release_signals() -> None:
    """Let signals do what they do by default, those too that have come since `hold_signals`."""
    for number, default in _DEFAULTS.items():
        if signal.getsignal(number) is _note:
            signal.signal(number, default)
    for early in _early:
        signal.raise_signal(early)


@contextmanager
def stoppable(advice: Callable[[], str] | None) -> Iterator[None]:
    """End the command with `Exit.STOPPED` at a signal that comes within the `with`, or has come before.

    While chains are sampled their driver notes signals itself, and saves what there is. `advice` says what to do then.
    None: nothing is left that could be gone on with, and signals do what they do by default.
    """
    if advice is None:
        release_signals()
        yield
        return
    try:
        with _stopped_by_signals():
            yield
    except (Stopped, KeyboardInterrupt) as stopped:
        import typer  # here, because `hold` comes before all that takes time

        from nutmill.cli.outcome import Exit

        say(f"Stopped by {stopped.args[0] if stopped.args else signal.SIGINT.name}; {advice()}")
        raise typer.Exit(Exit.STOPPED) from None


@contextmanager
def tidied() -> Iterator[None]:
    """Let a signal that ends the command leave the `with` first, so that temporary folders are removed."""
    before, came = {}, []

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise Stopped(signal.Signals(number).name)

    try:
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, leave)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Raise Stopped within the `with`, and let signals do afterwards what they did before."""
    before, again = {}, []

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        again.append(threading.Timer(_AGAIN_S, signal.raise_signal, [number]))
        again[-1].start()
        raise Stopped(signal.Signals(number).name)

    try:
        for number in _SIGNALS:
            before[number] = signal.signal(number, stop)
        if signal.getsignal(signal.SIGINT) is _note:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
        if _early:
            stop(_early[0], None)
        yield
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        for timer in again:
            timer.cancel()
            timer.join()
        for number, handler in before.items():
            # A process that `hold` began has nothing left but its end, in which Python would undo a handler of ours.
            if handler is not _note:
                # None: it was set by code that is not Python's, and cannot be given back.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _note(number: int, _frame: FrameType | None) -> None:
    _early.append(number)
