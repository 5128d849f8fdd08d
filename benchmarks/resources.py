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


def timed(work: Callable[[], Result]) -> tuple[Result, Spent]:
    """Do `work` and return its result with what it cost; children count once they have been waited for."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    result = work()
    return result, Spent(time.perf_counter() - wall, _cpu_seconds() - cpu)


def peak_rss_mb() -> float:
    """Return the largest resident size that this process, or any one child of it, has had so far, in MB.

    The figure for this process is the high-water mark since it was executed. (`ru_maxrss` would not do: it is
    inherited from the parent that started us.)
    """
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(int(line.split()[1]), child) / 1024


def _cpu_seconds() -> float:
    # `os.times` would do, but counts in hundredths of a second.
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
