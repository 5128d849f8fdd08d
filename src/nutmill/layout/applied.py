"""Applies a layout to the thread pools of this process, and reads back what took effect."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nutmill.errors import LayoutError
from nutmill.layout.blas.find import find_blas
from nutmill.layout.blas.library import BlasLibrary
from nutmill.layout.blas.thread_limits import PoolLimits, limited
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology

_log = logging.getLogger("nutmill")


@contextmanager
def apply_layout(
    layout: Layout, while_waiting: Callable[[], object] | None = None, *, calls_blas: bool = True
) -> Iterator["Applied"]:
    """Limit the thread pools of this process as a layout says, while in the `with`.

    Where other threads of this process have applied layouts with as many BLAS threads, all share the limits, and
    the last one to end brings back what was before the first. Where they have another number, this waits until
    they have ended, and the log says so.

    Parameters
    ----------
    while_waiting : callable, optional
        Called four times a second while this waits; what it raises ends the wait.
    calls_blas : bool
        False: what chains compute calls no BLAS, so that any number of its threads will do. Then none is loaded
        that the layout does not name, this does not wait, nobody waits for it, and no note tells of limits.

    Raises
    ------
    LayoutError
        If the library is not there, or cannot have the `blas_threads` wanted where these are more than one; or if
        there are fewer cores than `tile_threads`.
        A limit to one thread that has no effect is a note.
    """
    _check_tile_threads(layout.tile_threads)
    # OpenBLAS starts its threads as soon as it is loaded, and each spins for 30 ms before it goes to sleep.
    library, notes = _library_for(layout) if calls_blas or layout.blas is not None else (None, [])
    with limited(layout.blas_threads, library, while_waiting, calls_blas) as limits:
        if calls_blas and library is not None:
            notes += _differences(layout, library, limits)
        applied = Applied(layout, library, limits, notes)
        yield applied
        applied.note_changes()


class Applied:
    """A layout that holds in this process: what `with apply_layout(layout) as applied:` gives.

    Attributes
    ----------
    layout : Layout
    effective : dict
        What took effect beside what was requested, as plain values for JSON. ``requested``: the layout. ``blas``:
        the library that chains call, with a digest of its file where the layout names it; None if there is none.
        ``blas_threads``: those of each chain, as the library says; None if it does not. ``libraries``: each loaded
        pool, with ``threads_requested`` and ``threads``. ``workers``: by worker, once it has begun, the BLAS threads of
        its thread. ``notes``.
    notes : list of str
        A sentence for everything that is not as requested; grows while workers begin.
    """

    def __init__(self, layout: Layout, library: BlasLibrary | None, limits: PoolLimits, notes: list[str]):
        self.layout = layout
        self.notes = notes
        self._library = library
        self._blas_threads = None if library is None else library.get_threads()  # a difference is noted already
        self._limits = limits
        self.effective: dict[str, Any] = {
            "requested": layout.as_dict(),
            "blas": None if library is None else _facts(layout, library),
            "blas_threads": self._blas_threads if limits.are_needed else layout.blas_threads,
            "libraries": limits.read(),
            "workers": [None] * layout.chains_at_once,
            "notes": notes,
        }

    @property
    def blas(self) -> BlasLibrary:
        """The library that compiled code should call; raises LayoutError if there is no BLAS in this process."""
        if self._library is None:
            raise LayoutError(" ".join(["No BLAS is there for this layout.", *self.notes]))
        return self._library

    def enter_worker(self, worker: int) -> None:
        """Make the calling thread worker number `worker`: set the limits that belong to a thread.

        Worker 0 to `chains_at_once` - 1. The thread is expected to end with the run.
        """
        if worker not in range(self.layout.chains_at_once):
            most = self.layout.chains_at_once - 1
            raise LayoutError(f"There is no worker {worker!r} in this layout: its workers are 0 to {most}.")
        self._limits.in_this_thread()
        threads = None if self._library is None else self._library.get_threads()
        self.effective["workers"][worker] = {"blas_threads": threads}
        if self._limits.are_needed and threads not in (None, self._blas_threads):
            self.notes.append(f"Worker {worker} has {threads} BLAS threads, not {self._blas_threads}.")

    def note_changes(self) -> None:
        """Note a number of threads that did not stay."""
        if self._library is None or not self._limits.are_needed:
            return
        if (threads := self._library.get_threads()) != self._blas_threads:
            self.notes.append(
                f"Another part of the program has set {self._library.label} to {threads} BLAS threads meanwhile, not "
                f"the {self._blas_threads} of the layout: draws may have other last bits than those of another run."
            )
            _log.warning(self.notes[-1])


def _check_tile_threads(count: int) -> None:
    if count > 1 and count > (n_cores := max(1, topology().n_cores)):
        cores = f"{n_cores} cores" if n_cores > 1 else "one core"
        raise LayoutError(f"tile_threads={count} is more than the {cores} of this process: use at most {n_cores}.")


def _facts(layout: Layout, library: BlasLibrary) -> dict[str, Any]:
    """What is said of the library; that of a named one includes its content, since names may mean another elsewhere."""
    return library.as_dict() | ({} if layout.blas is None else {"digest": library.digest})


def _library_for(layout: Layout) -> tuple[BlasLibrary | None, list[str]]:
    """Find the library that workers call, None if none is there or needed, and say what is not as requested."""
    try:
        library = find_blas(layout.blas)
    except LayoutError as error:
        if layout.blas is not None or layout.blas_threads > 1:
            raise
        return None, [str(error)]
    count = layout.blas_threads
    if count > 1 and not library.can_limit:
        raise LayoutError(f"{library.label} cannot be limited, so that blas_threads={count} cannot be had: use 1.")
    if library.max_threads is not None and count > library.max_threads:
        most = library.max_threads
        raise LayoutError(f"blas_threads={count} is more than the {most} that {library.label} was built for.")
    return library, list(library.notes)


def _differences(layout: Layout, library: BlasLibrary, limits: PoolLimits) -> list[str]:
    """Compare what took effect with what was requested; returns a sentence for each difference.

    Raises LayoutError if workers were to have more than one BLAS thread and have another number.
    """
    notes = []
    threads = library.get_threads()
    if threads is None:
        notes.append(f"{library.label} cannot be limited: it may use more threads than the layout says.")
    elif threads != layout.blas_threads:
        notes.append(_difference(library.label, threads, layout.blas_threads))
        if layout.blas_threads > 1:
            raise LayoutError(notes[-1])
    for entry in limits.read():
        if entry["threads"] != entry["threads_requested"] and entry["origin"] is None and entry["path"] != library.path:
            notes.append(
                _difference(f"{entry['name']} ({entry['path']})", entry["threads"], entry["threads_requested"])
            )
    return notes


def _difference(name: str, threads: int | None, wanted: int) -> str:
    if threads is None:
        return f"{name} cannot be limited: it may use more than the {wanted} of the layout."
    return (
        f"{name} uses {threads} BLAS threads, not the {wanted} of the layout: another thread may hold the limit "
        "of threadpoolctl, or the library has a limit of its own."
    )
