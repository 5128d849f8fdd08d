"""Where commands print: text and JSON on stdout; on stderr what they are at, and how far."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nutmill.progress.stderr import is_terminal, say, unheard
from nutmill.units import duration

if TYPE_CHECKING:
    from rich.console import Console

    from nutmill.layout.search.measurements import Measurement

# Tables in a file or a pipe are not squeezed into the 80 columns that nobody looks at.
_WIDTH_WITHOUT_TERMINAL = 132


def stdout_console() -> "Console":
    """Open the console of the results."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_WITHOUT_TERMINAL
    return Console(width=width, highlight=False, soft_wrap=False)


def print_json(document: object) -> None:
    """Print a document of JSON on stdout."""
    print(json.dumps(document, indent=1))


def printable(name: object) -> str:
    """Write what others may have named without the characters that a terminal obeys."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(name))


QUIET_S, REPEAT_S = 2.0, 30.0


@contextmanager
def stage(text: str, quiet_s: float = QUIET_S, repeat_s: float = REPEAT_S) -> Iterator[None]:
    """While in the `with`: a line after two seconds, and every half minute how long it has been."""
    begin, ended = time.monotonic(), threading.Event()

    def repeat() -> None:
        wait_s = quiet_s
        while not ended.wait(wait_s):
            say(f"{text} ({time.monotonic() - begin:.0f} s)")
            wait_s = repeat_s

    thread = threading.Thread(target=repeat, name="nutmill-stage", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class MeasuringLine:
    """A line that is written anew with each measurement. No thread redraws it: that would disturb what is measured.

    `show` puts a text in the place of the last one. `budget_s` is that of the sweep; None where it takes as long as it
    takes.
    """

    def __init__(self, show: Callable[[str], None], budget_s: float | None):
        self._show, self._budget_s = show, budget_s
        self._n_measured = 0
        self._begin = time.perf_counter()

    def say(self, text: str) -> None:
        """Show a text; the sweep begins after it."""
        self._begin = time.perf_counter()
        self._show(text)

    def measured(self, one: "Measurement") -> None:
        """Take in a measurement, as `find_layout` reports it."""
        self._n_measured += 1
        spent_s = time.perf_counter() - self._begin
        last = f"{one.layout}: {duration(one.timing.seconds)}"
        budget = "" if self._budget_s is None else f" of {self._budget_s:g}"
        self._show(f"Measuring, {spent_s:.1f}{budget} s: measurement {self._n_measured}, {last}")


@contextmanager
def open_progress(budget_s: float | None) -> Iterator[MeasuringLine]:
    """Show progress while in the `with`, if stderr is a terminal, and as long as it is there."""
    if not is_terminal():
        yield MeasuringLine(lambda text: None, budget_s)
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)

    def show(text: str) -> None:
        with unheard():
            live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)

    with unheard():
        live.start()
    try:
        yield MeasuringLine(show, budget_s)
    finally:
        with unheard():
            live.stop()
