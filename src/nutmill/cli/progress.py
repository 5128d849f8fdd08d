"""One line that says how far a command is, on a terminal, on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nutmill.progress.stderr import is_terminal, unheard
from nutmill.units import duration

if TYPE_CHECKING:
    from nutmill.layout.search.measurements import Measurement


class Progress:
    """A line that changes when it is told to. No thread redraws it: that would disturb what is measured.

    Parameters
    ----------
    show : callable
        Shows a text in place of the last one.
    budget_s : float or None
        Of the sweep; None where it takes as long as it takes.
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
def open_progress(budget_s: float | None) -> Iterator[Progress]:
    """Show progress while in the `with`, if stderr is a terminal, and as long as it is there."""
    if not is_terminal():
        yield Progress(lambda text: None, budget_s)
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
        yield Progress(show, budget_s)
    finally:
        with unheard():
            live.stop()
