"""What the user sees while chains run: a live table, the same in a notebook, log lines, or nothing."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from nutmill.progress.chain_table import table
from nutmill.progress.lines import ChainProgress, ProgressView, lines, sentence, whole, whole_sentence, with_rows

# Drawing the table of four chains takes 3 ms, of sixteen 9 ms: at this rate a per cent or two of a core.
TABLE_INTERVAL_S = 0.5
# A log may run for days: lines come every five seconds at first, later every minute.
LOG_INTERVAL_S, LONGEST_LOG_INTERVAL_S, LOG_SHARE = 5.0, 60.0, 0.05
NOTEBOOK_WIDTH = 120
HOW_TO_STOP = "Ctrl-C: stop, keep the draws."

__all__ = ["ChainProgress", "LogProgress", "NoProgress", "Progress", "TableProgress", "UntilItFails", "open_progress"]

_log = logging.getLogger("nutmill")

Paint = Callable[[Table], object]


class Progress(Protocol):
    """Shows how chains advance, from `__enter__` to `__exit__`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def update(self, rows: list[ChainProgress]) -> None:
        """Take the newest state of some or all chains; cheap enough to be called after every block."""


def open_progress(progressbar: bool = True, stream: TextIO | None = None, *, in_background: bool = False) -> Progress:
    """Choose the form of progress that fits where the output goes, by default stderr as it is now.

    A terminal or a notebook gets a live table, a file lines, and what is closed or cannot be written nothing. A run in
    the background shows nothing on a terminal, where its user types meanwhile.
    """
    stream = sys.stderr if stream is None else stream
    if not progressbar or stream is None:
        return NoProgress()
    with suppress(OSError, ValueError):  # a stream that is closed does not even say whether it is a terminal
        return UntilItFails(_form_for(stream, in_background))
    return NoProgress()


def _form_for(stream: TextIO, in_background: bool) -> Progress:
    console = _Console(file=stream)
    if console.is_jupyter:
        return TableProgress(_notebook(), NOTEBOOK_WIDTH)
    if stream.isatty() and not console.is_dumb_terminal:
        return NoProgress() if in_background else TableProgress(_terminal(console), console.width, HOW_TO_STOP)
    return LogProgress(stream)


class NoProgress:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def update(self, rows: list[ChainProgress]) -> None:
        """Take rows, and leave them."""


class UntilItFails:
    """Shows what another progress shows, and nothing more once that has failed: a run does not end for its progress.

    The disk under a log fills up, a terminal goes away, the reader of a pipe dies; what is lost then are words.
    """

    def __init__(self, shown: Progress) -> None:
        self.shown = shown

    def __enter__(self) -> Self:
        self._try(self.shown.__enter__)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._try(self.shown.__exit__, kind, error, trace)

    def update(self, rows: list[ChainProgress]) -> None:
        """Take rows, for the other progress as long as that works."""
        self._try(self.shown.update, rows)

    def _try(self, method: Callable[..., object], *arguments: object) -> None:
        try:
            method(*arguments)
        except Exception:  # of a stream, of a terminal's library, of a notebook's messages
            failed, self.shown = self.shown, NoProgress()
            _log.debug("the progress cannot be shown any more", exc_info=True)
            with suppress(Exception):  # gives back the cursor, where there still is one
                failed.__exit__(None, None, None)


class TableProgress:
    """Paints a table on a surface that can be painted over.

    Parameters
    ----------
    surface
        A context that gives a function which paints a table over the one before.
    width
        Of the surface, in characters.
    hint
        Said beneath the table while the chains run.
    clock
        Gives seconds.
    """

    def __init__(
        self,
        surface: AbstractContextManager[Paint],
        width: int,
        hint: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._surface = surface
        self._width = width
        self._hint = hint
        self._clock = clock
        self._views: dict[int, ProgressView] = {}

    def __enter__(self) -> Self:
        self._paint = self._surface.__enter__()
        self._start_s = self._clock()
        self._painted_s = -TABLE_INTERVAL_S
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._show("")
        finally:
            self._surface.__exit__(kind, error, trace)

    def update(self, rows: list[ChainProgress]) -> None:
        """Take rows; paint them unless the table is too fresh."""
        now_s = self._clock()
        self._views = with_rows(self._views, rows, now_s, self._start_s)
        if now_s - self._painted_s >= TABLE_INTERVAL_S:
            self._painted_s = now_s
            self._show(self._hint)

    def _show(self, hint: str) -> None:
        run = whole(self._views, self._clock() - self._start_s)
        caption = f"{whole_sentence(run)}. {hint}".rstrip() if self._views else ""
        self._paint(table(lines(self._views), self._width, caption))


class LogProgress:
    """Writes a line for each chain and one for the run every few seconds, in long runs every minute, and at the end.

    Of a run that has ended before the first lines were due, it writes the one line alone. `stream` is flushed after
    each batch, so that a log file can be followed; `clock` gives seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._views: dict[int, ProgressView] = {}
        self._written: list[str] = []

    def __enter__(self) -> Self:
        self._start_s = self._written_s = self._clock()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._write(with_chains=bool(self._written) or error is not None)

    def update(self, rows: list[ChainProgress]) -> None:
        """Take rows; write them when it is time."""
        now_s = self._clock()
        self._views = with_rows(self._views, rows, now_s, self._start_s)
        wanted_s = min(LONGEST_LOG_INTERVAL_S, LOG_SHARE * (now_s - self._start_s))
        if now_s - self._written_s >= max(LOG_INTERVAL_S, wanted_s):
            self._written_s = now_s
            self._write(with_chains=True)

    def _write(self, *, with_chains: bool) -> None:
        """Write the lines that say something new."""
        if not self._views:
            return
        sentences = [sentence(line) for line in lines(self._views)] if with_chains else []
        sentences.append(whole_sentence(whole(self._views, self._clock() - self._start_s)))
        self._stream.writelines(f"{text}\n" for text in sentences if text not in self._written)
        self._stream.flush()
        self._written = sentences


class _Console(Console):
    """rich's console; a pipe that nobody reads is an error like others to it, where rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Hand on the BrokenPipeError, as which it is called."""
        raise


@contextmanager
def _terminal(console: Console) -> Iterator[Paint]:
    # Without rich's own thread, and without its replacement of the process's sys.stdout and sys.stderr.
    live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    with live:
        yield lambda drawn: live.update(drawn, refresh=True)


@contextmanager
def _notebook() -> Iterator[Paint]:
    # IPython's own display, because rich's wants ipywidgets and a browser that runs them.
    from IPython.display import display

    yield display(Table(), display_id=True).update
