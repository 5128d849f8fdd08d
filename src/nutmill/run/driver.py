"""Drives groups of chains: native calls in threads, barriers, blocks of draws, limits, progress.

A draw does not depend on anything that is decided here: not on how many chains run at once, blocks, their order or
their timing. It does on the threads of a BLAS call, which the layout sets.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress

from nutmill.errors import SamplingError
from nutmill.nuts.state import START, WITHOUT_DRAWS
from nutmill.progress.lines import ChainProgress
from nutmill.run.checkpoints import Checkpoints, SavedRun, Starts
from nutmill.run.collect import collect, rows_at_end
from nutmill.run.ending import ALL, INTERRUPT, NO_LIMITS, UNTIL, Deadline, Judge, Limits, StopConditions, StopSignals
from nutmill.run.groups import Group, chains_of
from nutmill.run.run import Clock, Ending, NativeModel, Run, Settings

_BLOCK_S = 0.2

OnProgress = Callable[[list[ChainProgress]], None]


def drive(
    natives: Sequence[NativeModel],
    start: Starts | SavedRun,
    settings: Settings,
    *,
    threads: int,
    on_worker: Callable[[int], None] | None = None,
    on_progress: OnProgress | None = None,
    interval_s: float = 0.25,
    block_draws: int | None = None,
    limits: Limits = NO_LIMITS,
    called_off_by: Callable[[], str | None] | None = None,
    on_begin: Callable[[Sequence[Group]], None] | None = None,
) -> Run:
    """Run chains from where they start, or were when they were saved, to the last draw.

    Parameters
    ----------
    natives : sequence of NativeModel
        One for all threads, or one for each: the same code, which may call different BLAS libraries.
    start : Starts or SavedRun
        With a folder SIGTERM and SIGUSR1 end the run as Ctrl-C does, and what was drawn is saved there.
    threads : int
        How many chains may run at the same time; each of these threads is a worker.
    on_worker : callable, optional
        Called first of all in the thread of each worker, with its number.
    on_progress : callable, optional
        Called from this thread every `interval_s` seconds or so and at the end, with each chain's progress; the last
        time with the draws that are kept, unless some are missing.
    block_draws : int, optional
        Draws of one native call while sampling; by default as many as take about 0.2 s.
    called_off_by : callable, optional
        Asked every `interval_s` seconds or so who elsewhere wants the run to end; None: nobody.
    on_begin : callable, optional
        Called with the groups of all chains before any of them starts.

    Returns
    -------
    Run
        After a signal or at a limit of time: the draws that all chains have, none if warmup was not over.

    Raises
    ------
    SamplingError
        A chain could not start, or its density asked it to stop.
    CheckpointError
        The folder cannot be read or written.
    """
    groups = start.groups(natives, settings)
    folder, clock = start.folder, Clock()
    with ExitStack() as stack:
        for native in natives:
            stack.callback(native.release)
        checkpoints = None
        if folder is not None:
            for group in groups:
                stack.callback(group.files.close)
            start.enter_folder(groups, settings, clock)
            checkpoints = stack.enter_context(Checkpoints(folder, groups, clock))
        n_chains = len(chains_of(groups))
        executor = stack.enter_context(_workers(max(1, min(threads, n_chains)), on_worker))
        conditions = StopConditions(
            stack.enter_context(StopSignals(INTERRUPT if folder is None else ALL)),
            Deadline(limits.max_time_s),
            stack.enter_context(Judge(limits.until, settings.draws, groups, natives[0].mixing)),
            interval_s,
            called_off_by,
        )
        if on_begin is not None:
            on_begin(groups)
        driver = _Driver(executor, groups, block_draws, checkpoints, clock)
        stopped_by = driver.run(conditions, on_progress)
    ending = Ending(stopped_by, conditions.judge.n_enough, conditions.signals.caught)
    run = collect(groups, settings, ending, clock)
    if on_progress is not None and not run.interrupted:
        on_progress(rows_at_end(run, settings))
    return run


# The number of the worker that the present thread is.
_worker = threading.local()


def _workers(threads: int, on_worker: Callable[[int], None] | None) -> ThreadPoolExecutor:
    numbers = itertools.count()

    def begin() -> None:
        _worker.number = next(numbers)
        if on_worker is not None:
            on_worker(_worker.number)

    return ThreadPoolExecutor(threads, thread_name_prefix="nutmill", initializer=begin)


class _Driver:
    """The native calls under way and what follows each of them; used from one thread."""

    def __init__(
        self,
        executor: ThreadPoolExecutor,
        groups: list[Group],
        block_draws: int | None,
        checkpoints: Checkpoints | None,
        clock: Clock,
    ):
        self._executor = executor
        self._groups = groups
        self._running: dict[Future, tuple[Group, int]] = {}
        # Of a thousand chains, `wait` would look at each of them whenever one is done.
        self._done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._clock = clock
        self._checkpoints = checkpoints
        self._block_draws = block_draws
        self._last_progress = 0.0

    def run(self, conditions: StopConditions, on_progress: OnProgress | None) -> str | None:
        """Run all chains to their end, or until something ends the run: return what."""
        try:
            stopped_by = self._loop(conditions, on_progress)
        finally:
            self._stop()
        self._finish()
        if on_progress is not None:
            on_progress(self._progress())
        return stopped_by

    def _loop(self, conditions: StopConditions, on_progress: OnProgress | None) -> str | None:
        for group in self._groups:
            self._begin_group(group)
        judging: set[Future] = set()
        while True:
            before, judging = judging, set(conditions.judge.advance())
            for future in judging - before:
                future.add_done_callback(self._done.put)
            if not self._running and not judging:
                break
            self._take_and_hand_out(self._returned(min(conditions.interval_s, conditions.deadline.left_s)))
            if self._checkpoints is not None:
                self._checkpoints.tick()
            if (stopped_by := conditions.met()) is not None:
                return stopped_by
            if on_progress is not None and self._is_due(conditions.interval_s):
                on_progress(self._progress())
        return None if conditions.judge.n_enough is None else UNTIL

    def _returned(self, timeout_s: float) -> list[Future]:
        """Calls that have returned, after the first of anything that is awaited, or after a while."""
        done: list[Future] = []
        with suppress(queue.Empty):
            done.append(self._done.get(timeout=timeout_s))
            while True:
                done.append(self._done.get_nowait())
        return [future for future in done if future in self._running]

    def _begin_group(self, group: Group) -> None:
        """Start all chains of a group, or go on where its state has been taken."""
        for chain in range(len(group.chain_ids)):
            if group.phase == START:
                self._submit(group, chain, _start)
            else:
                self._next_block(group, chain)
        if not group.running and not group.is_sampling:
            self._next_stage(group)

    def _take_and_hand_out(self, done: Sequence[Future]) -> None:
        """Take the results of finished calls and hand out what follows."""
        for future in done:
            group, chain = self._take(future)
            if self._checkpoints is not None:
                self._checkpoints.capture_chain(group, chain)
            self._next_block(group, chain)
            if not group.running and not group.is_sampling:
                self._next_stage(group)

    def _take(self, future: Future) -> tuple[Group, int]:
        group, chain = self._running.pop(future)
        group.running.remove(chain)
        status = future.result()
        if status < 0 or (group.phase == START and status != 0):
            what = "cannot start" if group.phase == START else "had to stop"
            raise SamplingError(f"Chain {group.chain_ids[chain]} {what}: {group.sentence_of(status)}.")
        return group, chain

    def _stop(self) -> None:
        """Let the calls under way end after their current draw, and those that have not begun do nothing."""
        for group in self._groups:
            group.stop()
        wait(self._running)
        self._clock.stop(all(group.is_sampling for group in self._groups))

    def _finish(self) -> None:
        """Take the results of the last calls, and save what all chains have come to."""
        self._take_all()
        for group in self._groups:
            while group.phase in WITHOUT_DRAWS:  # all chains have done what these consist of
                group.pool()
                for chain in range(len(group.chain_ids)) if group.phase in WITHOUT_DRAWS else ():
                    self._submit(group, chain, _advance, 0)
                wait(self._running)
                self._take_all()
        if self._checkpoints is not None:
            self._checkpoints.finish()

    def _take_all(self) -> None:
        for future in list(self._running):
            self._take(future)

    def _next_stage(self, group: Group) -> None:
        group.pool()
        if group.is_sampling:
            self._clock.end_warmup()
        for chain in range(len(group.chain_ids)):
            if group.phase in WITHOUT_DRAWS:
                self._submit(group, chain, _advance, 0)
            else:
                self._next_block(group, chain)

    def _next_block(self, group: Group, chain: int) -> None:
        n_draws = group.block(chain, self._block_draws)
        if n_draws > 0:
            self._submit(group, chain, _advance, n_draws)

    def _submit(self, group: Group, chain: int, *work) -> None:
        group.running.add(chain)
        future = self._executor.submit(work[0], group, chain, *work[1:])
        self._running[future] = (group, chain)
        future.add_done_callback(self._done.put)

    def _is_due(self, interval_s: float) -> bool:
        now = time.monotonic()
        if now - self._last_progress < interval_s:
            return False
        self._last_progress = now
        return True

    def _progress(self) -> list[ChainProgress]:
        return [group.progress(chain) for group, chain in chains_of(self._groups)]


def _start(group: Group, chain: int) -> int:
    return group.start(chain, _worker.number)


def _advance(group: Group, chain: int, n_draws: int) -> int:
    begin = time.perf_counter()
    status = group.advance(chain, n_draws, _worker.number)
    if n_draws > 0:
        # At most twice as many as before: early draws may be much cheaper than later ones.
        share = _BLOCK_S / max(time.perf_counter() - begin, 1e-9)
        group.draws_in_time[chain] = max(1, int(n_draws * min(share, 2.0)))
    return status
