"""Limits the thread pools of this process, through threadpoolctl for those it knows, and reads what took effect."""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import LibController, ThreadpoolController

from nutmill.layout.blas.library import BlasLibrary
from nutmill.layout.blas.process_limits import Setting, held


class Wanted(NamedTuple):
    """Threads that pools may use.

    Attributes
    ----------
    blas : int
        Each BLAS that all threads share, the chosen one included if it is no private copy.
    openmp : int
        Each OpenMP.
    chosen : int
        Libraries that the chains call and threadpoolctl does not know.
    """

    blas: int
    openmp: int
    chosen: int


class _Known(NamedTuple):
    stamp: tuple[int | None, int]
    controller: ThreadpoolController


_known: list[_Known] = []


def known_pools() -> ThreadpoolController:
    """The pools of all libraries loaded so far; looks for them again only if code was loaded since the last time.

    Looking takes 0.6 ms, asking whether to look 0.05 ms.
    """
    stamp = (_mapped_code_kb(), len(sys.modules))
    if not _known or None in stamp or _known[0].stamp != stamp:
        _known[:] = [_Known(stamp, ThreadpoolController())]
    return _known[0].controller


def _mapped_code_kb() -> int | None:
    """Size of all code in this process, which grows with every library that is loaded; None if nothing tells."""
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        return None
    found = status.partition(b"\nVmLib:")[2].split(maxsplit=1)
    return int(found[0]) if found else None


class Limits:
    """Limits that hold in a process: made by `limited`.

    Attributes
    ----------
    are_needed : bool
        False: other numbers of threads will do.
    """

    def __init__(
        self, controller: ThreadpoolController, chosen: Sequence[BlasLibrary], wanted: Wanted, are_needed: bool
    ):
        self.are_needed = are_needed
        self._controller = controller
        self._chosen = chosen
        self._wanted = wanted
        known = {pool.filepath for pool in controller.lib_controllers}
        self._unknown = _unknown(chosen, known)

    def in_this_thread(self, chosen: BlasLibrary | None) -> None:
        """Set the limits that a thread has to set for itself: those of OpenMP, MKL and BLIS."""
        for pool, info in _with_info(self._controller):
            if not _is_of_process(info):
                pool.set_num_threads(_asked(info, self._wanted))
        if chosen is not None and chosen.threads is not None and chosen.threads.of_calling_thread:
            chosen.set_threads(self._wanted.chosen)

    @contextmanager
    def of_this_thread(self) -> Iterator[None]:
        """Set them, and bring back what was before."""
        before = [(pool, info) for pool, info in _with_info(self._controller) if not _is_of_process(info)]
        chosen = [one for one in self._unknown if one.can_limit and one.threads.of_calling_thread]
        counts = [library.get_threads() for library in chosen]
        try:
            self.in_this_thread(None)
            for library in chosen:
                library.set_threads(self._wanted.chosen)
            yield
        finally:
            for pool, info in before:
                pool.set_num_threads(info["num_threads"])
            for library, count in zip(chosen, counts, strict=True):
                library.set_threads(count)

    def of_process(self) -> list[tuple[Setting, int]]:
        """What libraries keep for all threads of the process, and what this layout needs."""
        needed = [
            (_setting(pool), _asked(info, self._wanted))
            for pool, info in _with_info(self._controller)
            if _is_of_process(info) and info["num_threads"] is not None
        ]
        for library in self._unknown:
            if library.can_limit and not library.threads.of_calling_thread:
                label, set_ = f"{library.path} ({library.origin})", library.set_threads
                needed.append((Setting(label, library.get_threads, set_, set_), self._wanted.chosen))
        for library in {library.path: library for library in self._chosen}.values():
            if (dynamic := library.dynamic) is not None:
                needed.append((Setting(f"{library.path} (dynamic)", *dynamic, dynamic[1]), 0))
        return needed

    def read(self) -> list[dict]:
        """Read what took effect in the calling thread: an entry for each library, asked beside effective."""
        entries = [
            {
                "api": info["user_api"],
                "name": info["internal_api"],
                "version": info.get("version"),
                "layer": info.get("threading_layer"),
                "path": info["filepath"],
                "origin": None,
                "threads_asked": _asked(info, self._wanted),
                "threads": info["num_threads"],
            }
            for info in self._controller.info()
        ]
        return entries + [_entry(library, self._wanted.chosen) for library in self._unknown]


@contextmanager
def limited(
    wanted: Wanted,
    chosen: Sequence[BlasLibrary],
    while_waiting: Callable[[], object] | None = None,
    is_needed: bool = True,
) -> Iterator[Limits]:
    """Limit every pool while in the `with`; what was there before comes back, also after an exception.

    Waits while others in this process need other limits; see `process_limits.held`.

    Parameters
    ----------
    wanted : Wanted
    chosen : sequence of BlasLibrary
        The libraries that chains call, each once.
    while_waiting : callable, optional
        As there.
    is_needed : bool
        False: what others need instead will do.
    """
    controller = known_pools()
    limits = Limits(controller, chosen, wanted, is_needed)
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


def _asked(info: dict, wanted: Wanted) -> int:
    # The threads of a BLAS that was built for OpenMP are OpenMP's, and have one number with it.
    is_openmp = "openmp" in (info["user_api"], info.get("threading_layer"))
    return wanted.openmp if is_openmp else wanted.blas


def _unknown(libraries: Sequence[BlasLibrary], known: Collection[str]) -> list[BlasLibrary]:
    """Those that threadpoolctl does not control: private copies, and files under names that it does not know."""
    return [library for library in libraries if library.is_private or library.path not in known]


def _entry(library: BlasLibrary, asked: int) -> dict:
    return {"api": "blas", **library.as_dict(), "threads_asked": asked, "threads": library.get_threads()}
