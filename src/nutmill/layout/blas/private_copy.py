"""Copies of a BLAS library, each with a thread pool of its own, so that chains with several threads share no lock.

OpenBLAS has one pool in a process, whose lock every threaded call takes. The loader knows libraries by path and
inode: a file with the same content is another library to it, with other variables and another pool.
"""

import ctypes
import os
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from nutmill.errors import LayoutError
from nutmill.layout.blas.library import BlasLibrary, load, recognise
from nutmill.layout.blas.process_limits import unchanged
from nutmill.layout.pins import current_cpus, pin, unpinnable

# Libraries cannot be unloaded safely, their pools may be running: copies are kept and used again.
_copies: dict[str, list[BlasLibrary]] = {}
_lock = threading.Lock()


def private_copies(library: BlasLibrary, count: int) -> tuple[BlasLibrary, ...]:
    """Give `count` copies of an OpenBLAS; those that an earlier call made are given again.

    A copy starts with one thread. Its file is deleted once it is loaded, so that nothing is left behind, and
    threadpoolctl does not see it: nobody but `BlasLibrary.set_threads` changes its number of threads.

    Raises
    ------
    LayoutError
        If the library is not one that has a pool of its own to copy, or if the system does not allow it.
    """
    if not has_one_pool(library):
        raise LayoutError(f"{library.label} is not copied: only OpenBLAS has one pool for all threads.")
    with _lock:
        made = _copies.setdefault(library.path, [])
        while len(made) < count:
            with unchanged():  # numbers of threads tell a copy from its original
                made.append(_copied(library, len(made)))
        return tuple(made[:count])


def has_one_pool(library: BlasLibrary) -> bool:
    """Whether all threads that call the library share one pool; in MKL and BLIS every caller has its own."""
    return library.name == "openblas" and library.layer in ("pthreads", "openmp")


def _copied(library: BlasLibrary, index: int) -> BlasLibrary:
    try:
        handle = _from_folder(library.path)
    except OSError as in_folder:  # no space, or a folder from which nothing may be run
        try:
            handle = _from_memory(library.path)
        except (OSError, AttributeError) as in_memory:
            raise LayoutError(f"{library.label} cannot be copied: {in_folder}; {in_memory}.") from in_memory
    origin = f"{library.origin}, private copy {index}"
    copy = replace(recognise(handle, library.path, origin, library.fallback), path=library.path, is_private=True)
    _check_separate(library, copy)
    return copy


def _from_folder(path: str) -> ctypes.CDLL:
    # What the library needs beside itself (libgfortran, libquadmath) is found by name, for it is loaded already.
    folder = tempfile.mkdtemp(prefix="nutmill-blas-")
    try:
        return _load_on_one_cpu(shutil.copyfile(path, os.path.join(folder, Path(path).name)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _from_memory(path: str) -> ctypes.CDLL:
    # The descriptor stays open: its number is part of the path by which the loader knows this copy.
    descriptor = os.memfd_create(Path(path).name)
    try:
        with open(descriptor, "wb", closefd=False) as memory, open(path, "rb") as source:
            shutil.copyfileobj(source, memory)
        return _load_on_one_cpu(f"/proc/self/fd/{descriptor}")
    except OSError:
        os.close(descriptor)
        raise


def _load_on_one_cpu(path: str) -> ctypes.CDLL:
    """Load in a thread that has one CPU: OpenBLAS starts a thread for every other CPU of the one who loads it."""
    outcome = []

    def work():
        try:
            if unpinnable() is None:
                pin({min(current_cpus())})
            outcome.append(load(path))
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=work, name="nutmill-blas-loader")
    thread.start()
    thread.join()
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]


def _check_separate(library: BlasLibrary, copy: BlasLibrary) -> None:
    """Make sure that the copy uses its own variables and not those of the library that it was copied from."""
    before = library.get_threads()
    if copy.threads is None or before is None or copy.threads.of_calling_thread:
        return
    copy.set_threads(1 if before > 1 else 2)
    if library.get_threads() != before or copy.address("dgemm") == library.address("dgemm"):
        library.set_threads(before)
        raise LayoutError(f"A copy of {library.label} is not separate from it on this system.")
    copy.set_threads(1)
