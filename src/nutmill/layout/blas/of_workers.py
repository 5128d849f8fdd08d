"""Which BLAS library each worker of a layout calls, and whether it can do what the layout asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nutmill.errors import LayoutError
from nutmill.layout.blas.find import BlasLibrary, find_blas
from nutmill.layout.blas.private_copy import has_one_pool, private_copies
from nutmill.layout.blas.thread_limits import Limits
from nutmill.layout.pins import current_cpus

if TYPE_CHECKING:
    from nutmill.layout.layout import Layout


def libraries_of_workers(layout: Layout) -> tuple[tuple[BlasLibrary, ...], list[str]]:
    """Find the library of each worker, and say what is not as asked.

    Returns
    -------
    libraries : tuple of BlasLibrary
        One for each worker; empty if there is no BLAS and the layout needs none.
    notes : list of str

    Raises
    ------
    LayoutError
        If the layout needs a library that is not there, or that cannot have so many threads.
    """
    try:
        library = find_blas(layout.blas)
    except LayoutError as error:
        if layout.blas is not None or layout.blas_threads > 1:
            raise
        return (), [str(error)]
    _check_possible(layout, library)
    if layout.mode == "threads":
        return (library,) * layout.chains_at_once, list(library.notes)
    if has_one_pool(library):
        return private_copies(library, layout.chains_at_once), list(library.notes)
    reason = f"Workers share {library.label}: only OpenBLAS, whose callers share one pool, is copied."
    return (library,) * layout.chains_at_once, [*library.notes, reason]


def pin_private_pools(libraries: Sequence[BlasLibrary], cpus: Sequence[tuple[int, ...]]) -> list[str]:
    """Pin the pool of each private copy to the CPUs of its worker, or unpin it; returns what could not be done.

    Call it in a thread that may run everywhere: pools of workers without a place get its CPUs.
    """
    everywhere = current_cpus()
    notes = []
    for library, place in zip(libraries, cpus, strict=False):
        if library.is_private and everywhere and not library.pin_pool(place or everywhere) and place:
            notes.append(f"The threads of {library.label} run unpinned: it has no way to pin them, or was refused.")
    return notes


def check_limits(layout: Layout, libraries: Sequence[BlasLibrary], limits: Limits) -> list[str]:
    """Compare what took effect with what was asked; returns a sentence for each difference.

    Raises
    ------
    LayoutError
        If workers were to have more than one BLAS thread and have another number.
    """
    notes = []
    chosen = dict.fromkeys(libraries)
    for library in chosen:
        threads = library.get_threads()
        if threads is None:
            notes.append(f"{library.label} cannot be limited: it may use more threads than the layout says.")
        elif threads != layout.blas_threads:
            notes.append(_difference(library.label, threads, layout.blas_threads))
            if layout.blas_threads > 1:
                raise LayoutError(notes[-1])
    paths = {library.path for library in chosen if not library.is_private}
    for entry in limits.read():
        if entry["threads"] != entry["threads_asked"] and entry["origin"] is None and entry["path"] not in paths:
            notes.append(_difference(f"{entry['name']} ({entry['path']})", entry["threads"], entry["threads_asked"]))
    return notes


def _check_possible(layout: Layout, library: BlasLibrary) -> None:
    count = layout.blas_threads
    if count > 1 and not library.can_limit:
        raise LayoutError(f"{library.label} cannot be limited, so that blas_threads={count} cannot be had: use 1.")
    if library.max_threads is not None and count > library.max_threads:
        most = library.max_threads
        raise LayoutError(f"blas_threads={count} is more than the {most} that {library.label} was built for.")


def _difference(name: str, threads: int | None, asked: int) -> str:
    if threads is None:
        return f"{name} cannot be limited: it may use more than the {asked} of the layout."
    return (
        f"{name} uses {threads} BLAS threads, not the {asked} of the layout: another thread may hold the limit "
        "of threadpoolctl, or the library has a limit of its own."
    )
