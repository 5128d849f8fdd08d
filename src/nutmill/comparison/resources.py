"""Tells what a piece of work has cost: wall time, CPU time of all threads, peak memory, and how much was imports."""

import resource
import sys
import threading
import time
from collections.abc import Callable
from importlib import _bootstrap
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")
bootstrap: Any = _bootstrap  # of which only some is declared


class Spent(NamedTuple):
    """Seconds that a piece of work took: on the wall, and on all CPUs together (child processes included)."""

    wall: float
    cpu: float

    def plus(self, other: "Spent") -> "Spent":
        """Return the sum of both."""
        return Spent(self.wall + other.wall, self.cpu + other.cpu)

    def minus(self, other: "Spent") -> "Spent":
        """Return what is left of this without `other`."""
        return Spent(self.wall - other.wall, self.cpu - other.cpu)


def now() -> Spent:
    """Return the time of this machine since it began, and what this process has spent since it did.

    Children count once they have been waited for. The wall clock is the same for all processes of the machine.
    """
    # `os.times` would do for the CPU, but counts in hundredths of a second.
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Spent(time.monotonic(), sum(usage.ru_utime + usage.ru_stime for usage in usages))


def timed(work: Callable[[], Result]) -> tuple[Result, Spent]:
    """Do `work` and return its result with what it cost."""
    begin = now()
    result = work()
    return result, now().minus(begin)


class ImportClock:
    """Counts, within a `with` block, the time of imports by the thread that entered it.

    Every import of a module that is not yet loaded, by a statement or by `importlib`, goes through one function of
    the import system (what `python -X importtime` reports as well); it is replaced as long as the block lasts. Modules
    that a module imports count once, with it.
    """

    def __init__(self):
        self.spent = Spent(0.0, 0.0)
        self._is_inside = False

    def __enter__(self) -> "ImportClock":
        self._thread, self._original = threading.get_ident(), bootstrap._find_and_load
        bootstrap._find_and_load = self._timed
        return self

    def __exit__(self, *exception: object) -> None:
        bootstrap._find_and_load = self._original

    def _timed(self, name, import_):
        if self._is_inside or name in sys.modules or threading.get_ident() != self._thread:
            return self._original(name, import_)
        self._is_inside, begin = True, now()
        try:
            return self._original(name, import_)
        finally:
            self._is_inside = False
            self.spent = self.spent.plus(now().minus(begin))


def timed_apart(work: Callable[[], Result]) -> tuple[Result, Spent, Spent]:
    """Do `work` and return its result, what it cost without the imports in it, and what those cost."""
    with ImportClock() as imports:
        result, spent = timed(work)
    return result, spent.minus(imports.spent), imports.spent


def peak_rss_mb() -> float:
    """Return the largest resident size that this process, or any one child of it, has had so far, in MB.

    The figure for this process is the high-water mark since it was executed. (`ru_maxrss` would not do: it is
    inherited from the parent that started us.)
    """
    return max(status_mb("VmHWM"), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)


def status_mb(field: str) -> float:
    """Return a size of this process in MB, as the kernel calls it: "VmHWM", the largest resident size so far."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
