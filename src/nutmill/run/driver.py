"""Drives groups of chains: native calls in threads, barriers, blocks of draws, interrupts, progress.

A draw does not depend on anything that is decided here: not on threads, blocks, their order or their timing.
"""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np

from nutmill.errors import SamplingError, sentence
from nutmill.nuts.state import START
from nutmill.run.groups import Group, new_groups
from nutmill.run.outcome import collect
from nutmill.run.progress_view import ChainProgress
from nutmill.run.results import NativeModel, Run, Settings

_FIRST_BLOCK, _BLOCK_S = 16, 0.2

OnProgress = Callable[[list[ChainProgress]], None]


def drive(
    natives: Sequence[NativeModel],
    initial_points: np.ndarray,
    settings: Settings,
    seed: int,
    *,
    threads: int,
    on_worker: Callable[[int], None] | None = None,
    on_progress: OnProgress | None = None,
    interval_s: float = 0.25,
    block_draws: int | None = None,
    chain_ids: list[int] | None = None,
) -> Run:
    """Run chains from their initial points to the last draw.

    Parameters
    ----------
    natives : sequence of NativeModel
        One for all threads, or one for each: the same code, which may call different BLAS libraries.
    initial_points : (chains, n_dim) float64
        Density and gradient must be finite there.
    settings : Settings
    seed : int
        Not negative. The draws of a chain depend on it, the chain's id, the size of its group, density, data
        and settings, and on nothing else.
    threads : int
        How many chains may run at the same time; each of these threads is a worker.
    on_worker : callable, optional
        Called first of all in the thread of each worker, with its number.
    on_progress : callable, optional
        Called from this thread every `interval_s` seconds or so and at the end, with each chain's progress.
    interval_s : float
    block_draws : int, optional
        Draws of one native call while sampling; by default as many as take about 0.2 s.
    chain_ids : list of int, optional
        Increasing; by default 0, 1, ... Chains 4g to 4g + 3 form a group.

    Returns
    -------
    Run
        After Ctrl-C: the draws that all chains have, none if warmup was not over.

    Raises
    ------
    SamplingError
        A chain could not start, or its density asked it to stop.
    """
    chain_ids = list(range(len(initial_points))) if chain_ids is None else list(chain_ids)
    groups, *outputs = new_groups(natives, initial_points, settings, seed, chain_ids)
    driver = _Driver(groups, block_draws)
    interrupted = False
    with _workers(max(1, min(threads, len(chain_ids))), on_worker) as executor:
        try:
            driver.begin(executor)
            while driver.running:
                done, _ = wait(driver.running, interval_s, FIRST_COMPLETED)
                driver.go_on(executor, done)
                if on_progress is not None and driver.is_due(interval_s):
                    on_progress(driver.progress())
        except KeyboardInterrupt:
            interrupted = True
        finally:
            driver.stop()
    if on_progress is not None:
        on_progress(driver.progress())
    return collect(groups, outputs, settings, interrupted, driver.clock)


# The number of the worker that the present thread is.
_worker = threading.local()


def _workers(threads: int, on_worker: Callable[[int], None] | None) -> ThreadPoolExecutor:
    numbers = itertools.count()

    def begin() -> None:
        _worker.number = next(numbers)
        if on_worker is not None:
            on_worker(_worker.number)

    return ThreadPoolExecutor(threads, thread_name_prefix="nutmill", initializer=begin)


class Clock:
    """Wall times of a run: its begin, the end of the last warmup, its end."""

    def __init__(self):
        self.begin = self.sampling = self.end = time.perf_counter()


class _Driver:
    """The native calls under way and what follows each of them; used from one thread."""

    def __init__(self, groups: list[Group], block_draws: int | None):
        self.groups = groups
        self.running: dict[Future, tuple[Group, int]] = {}
        self.clock = Clock()
        self._block_draws = block_draws
        self._last_progress = 0.0

    def begin(self, executor: ThreadPoolExecutor) -> None:
        """Start all chains."""
        for group in self.groups:
            for chain in range(len(group.chain_ids)):
                self._submit(executor, group, chain, _start)

    def go_on(self, executor: ThreadPoolExecutor, done: set[Future]) -> None:
        """Take the results of finished calls and hand out what follows."""
        for future in done:
            group, chain = self.running.pop(future)
            group.n_running -= 1
            call = future.result()
            _check(call.status, group.chain_ids[chain], group.state.group[0]["phase"] == START)
            if group.is_sampling:
                self._next_block(executor, group, chain, call.draws_in_time)
            elif group.n_running == 0:
                self._next_stage(executor, group)

    def stop(self) -> None:
        """Let the calls under way end after their current draw, and those that have not begun do nothing."""
        for group in self.groups:
            group.stop()
        wait(self.running)
        self.clock.end = time.perf_counter()

    def is_due(self, interval_s: float) -> bool:
        """Whether it is time to report progress again."""
        now = time.monotonic()
        if now - self._last_progress < interval_s:
            return False
        self._last_progress = now
        return True

    def progress(self) -> list[ChainProgress]:
        """Return where each chain is."""
        return [group.progress(chain) for group in self.groups for chain in range(len(group.chain_ids))]

    def _next_stage(self, executor: ThreadPoolExecutor, group: Group) -> None:
        group.pool()
        if group.is_sampling:
            self.clock.sampling = time.perf_counter()
        for chain in range(len(group.chain_ids)):
            if group.is_sampling:
                self._next_block(executor, group, chain, _FIRST_BLOCK)
            else:
                self._submit(executor, group, chain, _advance, group.n_missing(chain))

    def _next_block(self, executor: ThreadPoolExecutor, group: Group, chain: int, n_draws: int) -> None:
        n_draws = min(self._block_draws or n_draws, group.n_missing(chain))
        if n_draws > 0:
            self._submit(executor, group, chain, _advance, n_draws)

    def _submit(self, executor: ThreadPoolExecutor, group: Group, chain: int, *work) -> None:
        group.n_running += 1
        self.running[executor.submit(work[0], group, chain, *work[1:])] = (group, chain)


class _Call(NamedTuple):
    """What a native call returned, and how many draws would have taken the time of one block."""

    status: int
    draws_in_time: int


def _start(group: Group, chain: int) -> _Call:
    return _Call(group.start(chain, _worker.number), 0)


def _advance(group: Group, chain: int, n_draws: int) -> _Call:
    begin = time.perf_counter()
    status = group.advance(chain, n_draws, _worker.number)
    # At most twice as many as before: early draws may be much cheaper than later ones.
    share = _BLOCK_S / max(time.perf_counter() - begin, 1e-9)
    return _Call(status, max(1, int(n_draws * min(share, 2.0))))


def _check(status: int, chain_id: int, is_start: bool) -> None:
    if is_start and status != 0:
        raise SamplingError(f"Chain {chain_id} cannot start: {sentence(status)}.")
    if status < 0:
        raise SamplingError(f"Chain {chain_id} had to stop: {sentence(status)}.")
