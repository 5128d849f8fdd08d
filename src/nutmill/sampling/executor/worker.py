"""What runs in a worker of an executor: one group of chains, by a compiled model that came as bytes.

A worker imports neither PyMC nor PyTensor nor Numba nor ArviZ.
"""

import platform
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nutmill.checkpoint.folder import RunFolder
from nutmill.checkpoint.lock import STALE_S, FolderInUse, this_process
from nutmill.checkpoint.manifest import has_begun
from nutmill.errors import CheckpointError, NutmillError, SamplingError
from nutmill.layout.applied import apply_layout
from nutmill.layout.layout import Layout
from nutmill.run.adaptation import AdaptationState
from nutmill.run.checkpoints import SavedRun, Starts
from nutmill.run.driver import drive
from nutmill.run.ending import CALLED_OFF, Limits
from nutmill.run.run import Ending, Run, Settings
from nutmill.sampling.executor.sharing import Models, ModelSource
from nutmill.sampling.layout_workload import natives_for
from nutmill.sampling.report import Report

# How often a worker looks whether its group is still wanted, and whether a folder has become free.
_LOOK_S, _ASK_AGAIN_S = 0.25, 1.0

_models = Models()


class PartFolder(NamedTuple):
    """The run folder of one group, within that of the whole run."""

    path: Path
    facts: dict[str, Any]  # what its manifest says beside settings
    every_s: float  # seconds between two checkpoints


class Task(NamedTuple):
    """One group of chains for a worker."""

    model: ModelSource
    chain_ids: list[int]
    initial: np.ndarray  # (c, n_dim) float64
    settings: Settings
    seed: int
    layout: Layout
    adaptation: AdaptationState | None  # with the rows of chains 4g to 4g + 3
    part_folder: PartFolder | None  # None: draws stay in memory and come back with the answer
    end_s: float | None  # when the run must end, in seconds since 1970
    running: Path | None  # While this file is there, somebody waits for the run. None: nothing tells.
    host: str  # where that file is, if it lies on no disk that workers share

    def start(self, folder: RunFolder | None) -> Starts | SavedRun:
        """What the group begins with: what lies in its folder, if an earlier worker has begun it there."""
        if folder is not None and has_begun(folder.path):
            return SavedRun(folder, self.chain_ids)
        return Starts(self.initial, self.seed, self.chain_ids, self.adaptation, folder)

    def is_called_off(self) -> bool:
        """Whether nobody waits for this group any more, as far as can be seen here."""
        is_seen = self.part_folder is not None or self.host == platform.node()
        return self.running is not None and is_seen and not self.running.exists()

    def is_over(self) -> bool:
        """Whether this group need not begin any more."""
        return self.is_called_off() or self.left_s == 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds to the end of the run."""
        return None if self.end_s is None else max(0.0, self.end_s - time.time())


class Answer(NamedTuple):
    """What comes back from a worker; an exception that comes back instead is the executor's."""

    worker: str  # who answers: process and host
    layout: dict[str, Any] | None = None  # what took effect there (`Applied.effective`)
    ending: Ending | None = None  # None: the run was over before this group began
    run: Run | None = None  # what the chains drew, unless it lies in the folder of the group
    error: NutmillError | None = None
    details: str = ""  # where in the worker the error was raised


def run_task(task: Task, content: bytes | None = None) -> Answer:
    """Sample one group of chains; `content` is the compiled model if it lies in no file."""
    worker = str(this_process())
    try:
        return _sampled(task, content, worker)
    except Exception as error:
        # As data, so that an exception that comes back means that the worker was lost.
        kind: type[NutmillError] = SamplingError
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, NutmillError):
            kind, text = type(error), str(error)
        named = kind(f"Chains {task.chain_ids[0]} to {task.chain_ids[-1]} failed in {worker}: {text}")
        return Answer(worker, error=named, details=traceback.format_exc())


def identity_task(content: bytes) -> bytes:
    """Return `content`: a task whose result an executor hands on between its workers."""
    return content


def _sampled(task: Task, content: bytes | None, worker: str) -> Answer:
    if task.is_over():
        return Answer(worker)
    end_if_over = _raising_over(_at_intervals(task.is_over))
    with ExitStack() as stack:
        try:
            compiled = _models.get(task.model, content, end_if_over)
            layout = apply_layout(task.layout, end_if_over, calls_blas=compiled.code.calls_blas)
            applied = stack.enter_context(layout)
        except _Over:
            return Answer(worker)
        folder = None if task.part_folder is None else stack.enter_context(_entered(task.part_folder))
        report = stack.enter_context(Report(folder))
        natives = stack.enter_context(natives_for(compiled, applied))
        report.begin()
        run = drive(
            natives,
            task.start(folder),
            task.settings,
            threads=task.layout.chains_at_once,
            on_worker=applied.enter_worker,
            on_progress=None if folder is None else report.update,
            limits=Limits(task.left_s),
            called_off_by=_who_calls_off(_at_intervals(task.is_called_off)),
        )
        report.end(run)
    if run.ending.caught == signal.SIGTERM.name:
        # Whatever ended the run, its draws are saved, and whoever sent the signal waits for the end of this process: a
        # pool that is broken, forever.
        signal.raise_signal(signal.SIGTERM)
    return Answer(worker, applied.effective, run.ending, run if folder is None else None)


class _Over(Exception):
    """A group need not begin any more."""


def _raising_over(is_over: Callable[[], bool]) -> Callable[[], None]:
    """Make a callback for whoever waits that raises `_Over` once the group need not begin any more."""

    def end_if_over() -> None:
        if is_over():
            raise _Over

    return end_if_over


def _who_calls_off(is_called_off: Callable[[], bool]) -> Callable[[], str | None]:
    """Make what `drive` takes as `called_off_by` of a question."""
    return lambda: CALLED_OFF if is_called_off() else None


def _at_intervals(ask: Callable[[], bool]) -> Callable[[], bool]:
    """Make `ask` answer False in between, so that a disk that many share is not read too often."""
    due_s = time.monotonic() + _LOOK_S

    def ask_if_due() -> bool:
        nonlocal due_s
        if time.monotonic() < due_s:
            return False
        due_s = time.monotonic() + _LOOK_S
        return ask()

    return ask_if_due


@contextmanager
def _entered(part: PartFolder) -> Iterator[RunFolder]:
    """Enter the folder of a group; one that a dead worker on another host has left becomes free in a while."""
    if not part.path.parent.is_dir():
        raise CheckpointError(
            f"{part.path.parent} is not there: checkpoint= must name a folder on a disk that all workers share."
        )
    give_up_s = time.monotonic() + 2 * STALE_S
    with ExitStack() as stack:
        while True:
            if has_begun(part.path):
                folder = RunFolder.open(part.path, part.every_s)
                folder.manifest |= part.facts
            else:
                folder = RunFolder.create(part.path, part.facts, part.every_s)
            try:
                stack.enter_context(folder)
                break
            except FolderInUse:
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(_ASK_AGAIN_S)
        yield folder
