"""One measurement of a real workload: a thread for each chain, all at once, the first moments thrown away."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from nutmill.errors import LayoutError
from nutmill.layout.applied import Applied, apply_layout
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology
from nutmill.layout.search.load import LoadCounters, LoadMeter
from nutmill.layout.search.measurements import Timing
from nutmill.layout.search.measuring import Unavailable

Workload = Callable[[int, int], object]

# Pools, caches, page faults, clock frequency: the first moments say nothing.
_WARM_UP_S = 0.05
# A burst is this many calls of the workload, if a unit is short enough.
_CALLS = 10
_LISTEN_S = 0.1
# OpenBLAS's threads spin for about 0.1 s after their last work.
_SPIN_S, _LOOK_S, _SPIN_SHARE = 0.15, 0.005, 0.2


@runtime_checkable
class ForLayout(Protocol):
    """A workload that asks for what it needs of a layout, such as the addresses of its BLAS."""

    def bound(self, applied: Applied) -> AbstractContextManager[Workload]:
        """Give the workload to measure while this layout is applied, in a `with`."""


class Bench:
    """Measures a workload under one layout after another on this machine.

    Parameters
    ----------
    workload : callable
        ``workload(worker, count)`` does `count` units of work as worker number `worker`, without the GIL. With a
        method ``bound(applied)`` it is asked, for each layout, for a context of the callable to measure.
    """

    def __init__(self, workload: Workload, topology: Topology):
        self._workload = workload
        self._meter = LoadMeter(topology.cpus)
        self._may_spin = False
        self.sees_others = True

    def measure(self, layout: Layout, burst_s: float) -> Timing:
        """Run all workers of a layout for `burst_s` seconds or one unit, whichever is longer.

        Raises Unavailable if the layout cannot be applied here; LayoutError from what the workload raised.
        """
        if self._may_spin:
            _wait_for_spinning_threads()
        with ExitStack() as stack:
            try:
                applied = stack.enter_context(apply_layout(layout))
                workload = self._workload
                if isinstance(workload, ForLayout):
                    workload = stack.enter_context(workload.bound(applied))
            except LayoutError as error:
                raise Unavailable(f"{layout} is left out: {error}") from error
            self._may_spin = layout.blas_threads > 1
            before = self._meter.read()
            crew = _Crew(workload, applied, burst_s)
            crew.run()
            after = self._meter.read()
        return self._timing(crew, before, after)

    def _timing(self, crew: "_Crew", before: LoadCounters, after: LoadCounters) -> Timing:
        others = self._meter.others(before, after)
        self.sees_others = others is not None
        seconds = float(np.median([shift.seconds / shift.units for shift in crew.shifts]))
        units = sum(shift.units for shift in crew.shifts)
        return Timing(seconds, (after.own_s - crew.own_s_at_begin) / units, others or 0.0)


class _Shift(NamedTuple):
    """What one worker did."""

    seconds: float
    units: int


class _Crew:
    """The workers of one measurement."""

    def __init__(self, workload: Workload, applied: Applied, burst_s: float):
        self.shifts: list[_Shift] = []
        self.own_s_at_begin = 0.0
        self._workload, self._applied, self._burst_s = workload, applied, burst_s
        n_workers = applied.layout.chains_at_once
        self._ready = threading.Barrier(n_workers)
        self._warm = threading.Barrier(n_workers, action=self._begin)
        self._errors: list[BaseException] = []
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), name=f"nutmill-sweep-{worker}")
            for worker in range(n_workers)
        ]

    def run(self) -> None:
        """Start the workers and wait for them; raises what one of them raised, as a LayoutError."""
        try:
            for thread in self._threads:
                thread.start()
            for thread in self._threads:
                while thread.is_alive():  # with a limit, so that Ctrl-C is heard whichever thread the signal met
                    thread.join(_LISTEN_S)
        finally:  # after Ctrl-C, workers end with the call under way; the layout may be restored only then
            self._stop()
            for thread in self._threads:
                if thread.ident is not None:
                    thread.join()
        if self._errors:
            error = self._errors[0]
            raise LayoutError(
                f"The workload raised {type(error).__name__} under {self._applied.layout}: {error}"
            ) from error

    def _work(self, worker: int) -> None:
        try:
            self._applied.enter_worker(worker)
            self._ready.wait()
            count = self._warm_up(worker)
            self._warm.wait()
            self.shifts.append(self._compute(worker, count, self._burst_s))
        except threading.BrokenBarrierError:
            pass  # another worker failed, or all were stopped
        except BaseException as error:
            self._errors.append(error)
            self._stop()

    def _warm_up(self, worker: int) -> int:
        """Compute for a while; return the units for each call of the burst."""
        warm_up_s = min(_WARM_UP_S, self._burst_s)
        begin = time.perf_counter()
        last = self._compute(worker, 1, 0.0)
        while time.perf_counter() - begin < warm_up_s and not self._stopped:
            last = self._compute(worker, min(2 * last.units, self._count(last)), 0.0)
        return self._count(last)

    def _count(self, last: _Shift) -> int:
        return max(1, int(self._burst_s / _CALLS * last.units / max(last.seconds, 1e-9)))

    def _compute(self, worker: int, count: int, least_s: float) -> _Shift:
        units = 0
        begin = now = time.perf_counter()
        while units == 0 or (now - begin < least_s and not self._stopped):
            self._workload(worker, count)
            units += count
            now = time.perf_counter()
        return _Shift(now - begin, units)

    def _begin(self) -> None:
        self.own_s_at_begin = time.process_time()

    def _stop(self) -> None:
        self._stopped = True
        self._ready.abort()
        self._warm.abort()


def _wait_for_spinning_threads() -> None:
    """Wait until this process uses no CPU, so that threads of the last layout do not slow the next."""
    end = time.perf_counter() + _SPIN_S
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(_LOOK_S)
        if time.process_time() - before < _SPIN_SHARE * _LOOK_S:
            return
