"""Pins threads to CPUs, and knows what a thread was allowed before."""

import os
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

# CPUs of a thread before it was first pinned here.
_this_thread = threading.local()


def unpinnable() -> str | None:
    """Say why threads cannot be pinned here; None where they can."""
    can = "sched_setaffinity" in dir(os)  # Linux and some BSDs
    return None if can else f"{sys.platform} has no way to pin a thread to CPUs"


def pin(cpus: Collection[int]) -> frozenset[int]:
    """Let the calling thread run on `cpus` only; raises OSError if the system refuses.

    Returns
    -------
    frozenset of int
        The CPUs that it had before, to be given to `unpin`.
    """
    before = frozenset(os.sched_getaffinity(0))
    os.sched_setaffinity(threading.get_native_id(), cpus)
    if free_cpus() is None:
        _this_thread.free = before
    return before


def unpin(before: frozenset[int]) -> None:
    """Give the calling thread back the CPUs that it had before `pin`."""
    os.sched_setaffinity(threading.get_native_id(), before)
    if before == free_cpus():
        _this_thread.free = None


def free_cpus() -> frozenset[int] | None:
    """The CPUs that the calling thread had before it was first pinned; None if it is not pinned."""
    return getattr(_this_thread, "free", None)


def current_cpus() -> list[int] | None:
    """The CPUs that the calling thread may run on; None where the system does not say."""
    return None if unpinnable() else sorted(os.sched_getaffinity(0))


@contextmanager
def unpinned() -> Iterator[None]:
    """Lift a pin of the calling thread for a while: threads that a pool starts meanwhile inherit none."""
    free = free_cpus()
    if free is None:
        yield
        return
    pinned = frozenset(os.sched_getaffinity(0))
    os.sched_setaffinity(0, free)
    try:
        yield
    finally:
        os.sched_setaffinity(0, pinned)
