"""Limits the thread pools of this process, through threadpoolctl for those it knows, and reads what took effect."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import LibController, ThreadpoolController

from nutmill.layout.blas.library import BlasLibrary
from nutmill.layout.blas.process_limits import Setting, held


class _KnownPools(NamedTuple):
    stamp: tuple[int | None, int]
    controller: ThreadpoolController


_known: list[_KnownPools] = []


def known_pools() -> ThreadpoolController:
    """The pools of all libraries loaded so far; looks for them again only if code was loaded since the last time.

    Looking takes 0.6 ms, asking whether to look 0.05 ms.
    """
    stamp = (_mapped_code_kb(), len(sys.modules))
    if not _known or None in stamp or _known[0].stamp != stamp:
        _known[:] = [_KnownPools(stamp, ThreadpoolController())]
    return _known[0].controller


def _mapped_code_kb() -> int | None:
    """Size of all code in this process, which grows with every library that is loaded; None if nothing tells."""
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        return None
    found = status.partition(b"\nVmLib:")[2].split(maxsplit=1)
    return int(found[0]) if found else None


class PoolLimits:
    """Limits that hold in a process, made by `limited`; where they are not needed, other numbers of threads will do."""

    def __init__(self, controller: ThreadpoolController, chosen: BlasLibrary | None, n_threads: int, are_needed: bool):
        self.are_needed = are_needed
        self._controller = controller
        self._chosen = chosen
        self._n_threads = n_threads
        known = {pool.filepath for pool in controller.lib_controllers}
        # threadpoolctl does not know files under names of their own.
        self._unknown = chosen if chosen is not None and chosen.path not in known else None

    def in_this_thread(self) -> None:
        """Set the limits that a thread has to set for itself: those of OpenMP, MKL and BLIS."""
        for pool, info in _with_info(self._controller):
            if not _is_of_process(info):
                pool.set_num_threads(self._n_threads)
        if self._chosen is not None and self._chosen.is_limited_by_thread:
            self._chosen.set_threads(self._n_threads)

    @contextmanager
    def of_this_thread(self) -> Iterator[None]:
        """Set them, and bring back what was before."""
        before = [(pool, info) for pool, info in _with_info(self._controller) if not _is_of_process(info)]
        own = self._unknown if self._unknown is not None and self._unknown.is_limited_by_thread else None
        count = None if own is None else own.get_threads()
        try:
            self.in_this_thread()
            yield
        finally:
            for pool, info in before:
                pool.set_num_threads(info["num_threads"])
            if own is not None and count is not None:
                own.set_threads(count)

    def of_process(self) -> list[tuple[Setting, int]]:
        """What libraries keep for all threads of the process, and what this layout needs."""
        needed = [
            (_setting(pool), self._n_threads)
            for pool, info in _with_info(self._controller)
            if _is_of_process(info) and info["num_threads"] is not None
        ]
        own = self._unknown
        if own is not None and own.threads is not None and not own.is_limited_by_thread:
            label, set_ = f"{own.path} ({own.origin})", own.set_threads
            needed.append((Setting(label, own.threads.get, set_, set_), self._n_threads))
        if self._chosen is not None and (dynamic := self._chosen.dynamic) is not None:
            needed.append((Setting(f"{self._chosen.path} (dynamic)", *dynamic, dynamic[1]), 0))
        return needed

    def read(self) -> list[dict]:
        """Read what took effect in the calling thread: for each library what was requested and what is in effect."""
        entries = [
            {
                "api": info["user_api"],
                "name": info["internal_api"],
                "version": info.get("version"),
                "layer": info.get("threading_layer"),
                "path": info["filepath"],
                "origin": None,
                "threads_requested": self._n_threads,
                "threads": info["num_threads"],
            }
            for info in self._controller.info()
        ]
        if (own := self._unknown) is not None:
            threads = {"threads_requested": self._n_threads, "threads": own.get_threads()}
            entries.append({"api": "blas", **own.as_dict(), **threads})
        return entries


@contextmanager
def limited(
    n_threads: int,
    chosen: BlasLibrary | None,
    while_waiting: Callable[[], object] | None = None,
    is_needed: bool = True,
) -> Iterator[PoolLimits]:
    """Limit every pool while in the `with`; what was there before comes back, also after an exception.

    Waits while others in this process need other limits; see `process_limits.held`.

    Parameters
    ----------
    n_threads : int
        Threads that each pool may use.
    chosen : BlasLibrary or None
        The library that chains call.
    while_waiting : callable, optional
        As there.
    is_needed : bool
        False: what others need instead will do.
    """
    controller = known_pools()
    limits = PoolLimits(controller, chosen, n_threads, is_needed)
    # OpenBLAS obeys one thread at a time; that it does so no longer than need be is counted for each thread.
    no_pool = controller.select(internal_api=())
    with ExitStack() as stack:
        stack.enter_context(no_pool.limit(limits=None))
        held_here = held(limits.of_process(), while_waiting, is_needed=is_needed, let_go=stack.close)
        with held_here, limits.of_this_thread():
            yield limits


def _with_info(controller: ThreadpoolController) -> list[tuple[LibController, dict]]:
    return [(pool, pool.info()) for pool in controller.lib_controllers]


def _is_of_process(info: dict) -> bool:
    """Whether all threads that call a library share its pool: only those that OpenBLAS makes itself."""
    return info["internal_api"] == "openblas" and info["threading_layer"] != "openmp"


def _setting(pool: LibController) -> Setting:
    def restore(count: int) -> None:
        pool.set_num_threads(count)
        if pool.get_num_threads() != count and "clear_controlling_thread" in dir(pool):
            # The thread whose limits it obeys is that of another run, which has ended.
            pool.clear_controlling_thread(force=True)
            pool.set_num_threads(count)

    return Setting(pool.filepath, pool.get_num_threads, pool.set_num_threads, restore)
