"""Reads from the kernel what a piece of work has cost: wall time, CPU time of all threads, peak memory."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")


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


def peak_rss_mb() -> float:
    """Return the largest resident size that this process, or any one child of it, has had so far, in MB.

    The figure for this process is the high-water mark since it was executed. (`ru_maxrss` would not do: it is
    inherited from the parent that started us.)
    """
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return max(own_peak_rss_mb(), child)


def own_peak_rss_mb() -> float:
    """Return the largest resident size that this process has had so far, in MB, whatever its children had."""
    return _status_mb("VmHWM")


def rss_mb() -> float:
    """Return the resident size of this process, in MB."""
    return _status_mb("VmRSS")


def anonymous_mb() -> float:
    """Return the resident size of this process without the pages of files that it has mapped, in MB."""
    return _status_mb("RssAnon")


def _status_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
