"""Limits the thread pools of this process, through threadpoolctl for those it knows, and reads what took effect."""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import ThreadpoolController

from nutmill.layout.blas_library import BlasLibrary


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
    """Limits that hold in a process: made by `limited`."""

    def __init__(self, controller: ThreadpoolController, chosen: Sequence[BlasLibrary], wanted: Wanted):
        self._controller = controller
        self._chosen = chosen
        self._wanted = wanted

    def in_this_thread(self, chosen: BlasLibrary | None) -> None:
        """Set the limits that a thread has to set for itself: those of OpenMP, MKL and BLIS."""
        for pool in self._controller.lib_controllers:
            # Only the pool that OpenBLAS made itself belongs to the process; the thread that applied limits set it.
            info = pool.info()
            if info["internal_api"] != "openblas" or info["threading_layer"] == "openmp":
                pool.set_num_threads(_asked(info, self._wanted))
        if chosen is not None and chosen.threads is not None and chosen.threads.of_calling_thread:
            chosen.set_threads(self._wanted.chosen)

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
        known = {entry["path"] for entry in entries}
        return entries + [_entry(library, self._wanted.chosen) for library in _unknown(self._chosen, known)]


@contextmanager
def limited(wanted: Wanted, chosen: Sequence[BlasLibrary]) -> Iterator[Limits]:
    """Limit every pool while in the `with`; what was there before comes back, also after an exception.

    Parameters
    ----------
    wanted : Wanted
    chosen : sequence of BlasLibrary
        The libraries that chains call, each once.
    """
    controller = known_pools()
    limits = Limits(controller, chosen, wanted)
    known = {pool.filepath for pool in controller.lib_controllers}
    with ExitStack() as stack:
        asked = [{**info, "num_threads": _asked(info, wanted)} for info in controller.info()]
        stack.enter_context(controller.limit(limits=asked))
        for library in _unknown(chosen, known):
            stack.enter_context(_directly_limited(library, wanted.chosen))
        for library in {library.path: library for library in chosen}.values():
            stack.enter_context(library.as_many_as_asked())
        yield limits


def _asked(info: dict, wanted: Wanted) -> int:
    # The threads of a BLAS that was built for OpenMP are OpenMP's, and have one number with it.
    is_openmp = "openmp" in (info["user_api"], info.get("threading_layer"))
    return wanted.openmp if is_openmp else wanted.blas


def _unknown(libraries: Sequence[BlasLibrary], known: Collection[str]) -> list[BlasLibrary]:
    """Those that threadpoolctl does not control: private copies, and files under names that it does not know."""
    return [library for library in libraries if library.is_private or library.path not in known]


@contextmanager
def _directly_limited(library: BlasLibrary, count: int) -> Iterator[None]:
    if not library.can_limit:
        yield
        return
    before = library.get_threads()
    library.set_threads(count)
    try:
        yield
    finally:
        library.set_threads(before)


def _entry(library: BlasLibrary, asked: int) -> dict:
    return {"api": "blas", **library.as_dict(), "threads_asked": asked, "threads": library.get_threads()}
