"""Reports how chains advance: to the user, and in the folder of the run for other processes."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nutmill.checkpoint.folder import RunFolder
from nutmill.progress.lines import ChainProgress
from nutmill.progress.status import StatusFile
from nutmill.run.run import Run

if TYPE_CHECKING:
    from nutmill.progress.show import Progress  # which brings rich: workers show nothing to users
    from nutmill.sampling.steering import Steering


class Report:
    """Takes the state of chains; used within a `with`.

    The folder gets a status file, and a sign of life with each report; `progress` shows the chains to the user,
    `steering` to the user's code.
    """

    def __init__(self, folder: RunFolder | None, progress: Progress | None = None, steering: Steering | None = None):
        self.steering = steering
        self._folder = folder
        self._progress = progress
        self._status: StatusFile | None = None
        self._stack, self._shown = ExitStack(), ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._shown.__exit__(kind, error, trace)
        finally:
            self._stack.__exit__(kind, error, trace)

    def begin(self) -> None:
        """Take note that chains begin to run: times are counted from here."""
        if self._progress is not None:
            self._shown.enter_context(self._progress)
        if self._folder is not None:
            folder = self._folder
            self._status = self._stack.enter_context(StatusFile(folder.path, lambda: folder.last_saved_s))

    def update(self, rows: list[ChainProgress]) -> None:
        """Take the newest state of all chains."""
        if self._progress is not None:
            self._progress.update(rows)
        if self._folder is not None and self._status is not None:
            self._status.update(rows)
            self._folder.beat()
        if self.steering is not None:
            self.steering.update(rows)

    def all_shown(self) -> None:
        """Show how the chains stand for the last time: what is said from now on stands beneath it."""
        self._shown.close()
        if self.steering is not None:
            self.steering.end()

    def end(self, run: Run) -> None:
        """Write how the run ended."""
        if self._status is not None:
            self._status.end("stopped" if run.interrupted else "finished", run.ending.stopped_by)
