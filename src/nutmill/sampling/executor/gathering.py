"""Tasks out to an executor and answers back: progress, lost workers, the end of a run before its time."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from pathlib import Path

import numpy as np

from nutmill.errors import SamplingError, first_line
from nutmill.progress.lines import ChainProgress
from nutmill.progress.status import INTERVAL_S
from nutmill.progress.stderr import unheard
from nutmill.run.collect import rows_at_end
from nutmill.run.driver import OnProgress
from nutmill.run.ending import MAX_TIME, Deadline, StopSignals
from nutmill.run.run import Run, Settings
from nutmill.sampling.executor.engines import Engine
from nutmill.sampling.executor.parts import progress_of_part
from nutmill.sampling.executor.worker import Answer, Task

_log = logging.getLogger("nutmill")

_TRIES = 3
_INTERVAL_S = 0.25
# What workers that may not see the end of a run have to answer before they are no longer waited for.
_GRACE_S = 10.0
# Processes that are spawned run the script that began them once more, and die where they come to the pool.
_UNGUARDED = ' If this is a script, what makes the pool and samples has to stand under `if __name__ == "__main__":`.'


class Gathering:
    """The tasks of one run under way, and their answers by number.

    The file `running` is there while the run goes on; `is_seen` says whether all workers see it. `how_to_go_on` is a
    sentence for whoever has to begin again.
    """

    def __init__(self, engine: Engine, tasks: Sequence[Task], running: Path, is_seen: bool, how_to_go_on: str):
        self.answers: dict[int, Answer] = {}
        self._engine = engine
        self._tasks = list(tasks)
        self._running = running
        self._is_seen = is_seen
        self._how_to_go_on = how_to_go_on
        self._pending: dict[Future, int] = {}
        self._n_lost = [0] * len(self._tasks)
        self._stopped_by: str | None = None

    def gather(
        self,
        signals: StopSignals,
        deadline: Deadline,
        on_progress: Callable[[], None],
        called_off_by: Callable[[], str | None],
    ) -> str | None:
        """Wait for all answers, or until something ends the run, such as who calls it off: return what.

        Raises what was raised in a worker, or SamplingError if the executor has lost too many workers.
        """
        self._running.touch()
        due_s = 0.0
        try:
            for number in range(len(self._tasks)):
                self._send(number)
            while self._pending and self._stopped_by is None:
                done, _ = wait(self._pending, min(_INTERVAL_S, deadline.left_s), FIRST_COMPLETED)
                is_late = deadline.left_s == 0.0
                self._stopped_by = signals.caught or called_off_by() or (MAX_TIME if is_late else None)
                self._take_all(done)
                if time.monotonic() >= due_s:
                    due_s = time.monotonic() + _INTERVAL_S
                    on_progress()
            if self._stopped_by is not None:
                self._end()
            on_progress()
        finally:
            self._running.unlink(missing_ok=True)
            for future in self._pending:
                future.cancel()
        return self._stopped_by

    def _send(self, number: int) -> None:
        try:
            self._pending[self._engine.submit(self._tasks[number])] = number
        except Exception as error:
            raise self._given_up(f"The executor takes no tasks ({_in_short(error)})") from error

    def _take_all(self, futures: set[Future]) -> None:
        for future in futures:
            number = self._pending.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                self._take(number, future.result())
            elif self._stopped_by is None:
                self._lost(number, error)

    def _take(self, number: int, answer: Answer) -> None:
        if answer.error is not None:
            answer.error.add_note(answer.details)
            raise answer.error
        if answer.ending is None and self._stopped_by is None:
            # Nobody has called the run off: that worker looks for the file where it is not.
            self._tasks[number] = self._tasks[number]._replace(running=None)
            self._lost(number, CancelledError("it saw no run"))
            return
        self.answers[number] = answer
        if answer.ending is not None and self._stopped_by is None:
            self._stopped_by = answer.ending.stopped_by  # a signal that reached the worker alone

    def _lost(self, number: int, error: BaseException) -> None:
        """Send a task again whose worker was lost; it goes on from its checkpoint if it has one."""
        chain_ids = self._tasks[number].chain_ids
        chains = f"chains {chain_ids[0]} to {chain_ids[-1]}"
        self._n_lost[number] += 1
        if isinstance(error, BrokenExecutor):
            what = f"A worker died, and with it the whole executor ({_in_short(error)})"
            raise self._given_up(what, _UNGUARDED * (not self.answers)) from error
        if self._engine.is_final(error) or self._n_lost[number] == _TRIES:
            raise self._given_up(f"The workers of {chains} were lost again and again ({_in_short(error)})") from error
        with unheard():
            _log.warning("The worker of %s was lost (%s): they are sent to another.", chains, _in_short(error))
        self._send(number)

    def _given_up(self, what: str, hint: str = "") -> SamplingError:
        return SamplingError(
            f"{what}, with {len(self.answers)} of {len(self._tasks)} groups done: {self._how_to_go_on}{hint}"
        )

    def _end(self) -> None:
        """Call off what has not begun, and take what the others have come to."""
        self._running.unlink(missing_ok=True)
        if not self._engine.cancels_running:
            self._pending = {future: number for future, number in self._pending.items() if not future.cancel()}
        end_s = time.monotonic() + _GRACE_S
        while self._pending and (self._is_seen or time.monotonic() < end_s):
            done, _ = wait(self._pending, _INTERVAL_S, FIRST_COMPLETED)
            self._take_all(done)


class GroupsProgress:
    """Reports how all chains are doing: those of groups that have come back, and of others what their folders say.

    `groups` are the chains of each group, `paths` the folder of each, None for those without; `on_progress` takes the
    rows of all chains.
    """

    def __init__(
        self,
        groups: Sequence[list[int]],
        paths: Sequence[Path | None],
        settings: Settings,
        on_progress: OnProgress,
    ):
        self._settings = settings
        self._on_progress = on_progress
        self._paths = dict(enumerate(paths))
        self._rows = {chain_id: _waiting(chain_id, settings) for chain_ids in groups for chain_id in chain_ids}
        self._read_s = -INTERVAL_S

    def update(self, arrived: Mapping[int, Run | None]) -> None:
        """Take what has come back, by number of the group, and report.

        It is a run, or None for one that lies in the folder of its group.
        """
        is_due = time.monotonic() - self._read_s >= INTERVAL_S
        if is_due:
            self._read_s = time.monotonic()
        for number, path in list(self._paths.items()):
            if number in arrived:
                del self._paths[number]
            if number in arrived or is_due:
                self._rows |= {row.chain: row for row in self._rows_of(arrived.get(number), path)}
        self._on_progress(list(self._rows.values()))

    def _rows_of(self, run: Run | None, path: Path | None) -> list[ChainProgress]:
        if run is not None:
            return rows_at_end(run, self._settings)
        return [] if path is None else progress_of_part(path, self._settings)


def _waiting(chain_id: int, settings: Settings) -> ChainProgress:
    return ChainProgress(chain_id, "warmup", 0, settings.tune, settings.longest_warmup, np.nan, 0, 0)


def _in_short(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    return f"{type(error).__name__}: {first_line(error)}".rstrip(": ")
