"""One BLAS library in this process: which it is, where its routines lie, how many threads it uses."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from nutmill.errors import LayoutError

# How libraries spell the Fortran name `ddot`: SciPy's wheels, nearly everyone else, Apple, those that append nothing.
_SPELLINGS = ("scipy_{}_", "{}_", "{}$NEWLAPACK", "{}")
_WIDE_SPELLINGS = ("scipy_{}_64_", "{}_64_", "{}64_")  # libraries with 64-bit integers (ILP64) only
_MKL_LAYERS = {0: "intel", 1: "sequential", 2: "pgi", 3: "gnu", 4: "tbb"}


class Threads(NamedTuple):
    """How a library's number of threads is read and set.

    Attributes
    ----------
    get() -> int
    set(count)
    of_calling_thread : bool
        The number belongs to the calling thread, and other threads keep theirs; else it is the process's.
    """

    get: Callable[[], int]
    set: Callable[[int], object]
    of_calling_thread: bool


@dataclass(frozen=True, eq=False)
class BlasLibrary:
    """A loaded BLAS with 32-bit integers (LP64). Made by `scipy_blas`, `find_blas` and `installed_blas`.

    Attributes
    ----------
    name : str
        ``"openblas"``, ``"mkl"``, ``"blis"``, ``"accelerate"``, or ``"blas"`` for one that does not say.
    version : str or None
        As the library itself reports it.
    path : str
        File of the library.
    layer : str
        What makes its threads: ``"pthreads"``, ``"openmp"``, ``"sequential"``, MKL's layers, or ``"unknown"``.
    origin : str
        Who brought it, for example ``"SciPy's"``.
    max_threads : int or None
        The most threads that the build allows, where it says so.
    """

    name: str
    version: str | None
    path: str
    layer: str
    origin: str
    max_threads: int | None
    handle: ctypes.CDLL = field(repr=False)
    spelling: str = field(repr=False)
    threads: Threads | None = field(repr=False)
    fallback: BlasLibrary | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """Name, version and origin in a few words."""
        return f"{self.name} {self.version or 'of unknown version'} ({self.origin})"

    @property
    def can_limit(self) -> bool:
        """Whether its number of threads can be set."""
        return self.threads is not None

    @property
    def is_limited_by_thread(self) -> bool:
        """Whether each thread that calls it has a number of its own, and can set it."""
        return self.threads is not None and self.threads.of_calling_thread

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what comes from elsewhere."""
        if self.fallback is None or symbol(self.handle, self.spelling.format("dpotrf")) is not None:
            return ()
        return (f"{self.label} has no LAPACK: factorisations and solves are those of {self.fallback.label}.",)

    def address(self, routine: str) -> int:
        """Address of a Fortran routine with 32-bit integers, for example of ``"dgemm"`` or ``"dpotrf"``.

        One that this library lacks is taken from SciPy's library.

        Raises
        ------
        LayoutError
            If neither has it.
        """
        function = symbol(self.handle, self.spelling.format(routine))
        if function is not None:
            return _address(function)
        if self.fallback is not None:
            return self.fallback.address(routine)
        raise LayoutError(f'{self.label} has no routine {routine!r}; names are Fortran ones such as "dgemm".')

    def as_dict(self) -> dict:
        """Give what identifies it, in a form that JSON can hold."""
        names = ("name", "version", "layer", "path", "origin")
        return {name: getattr(self, name) for name in names}

    def get_threads(self) -> int | None:
        """Read how many threads a call from this thread may use; None where the library does not say."""
        return None if self.threads is None else self.threads.get()

    def set_threads(self, count: int) -> None:
        """Set how many threads a call may use: in this process, or of this thread (`threads.of_calling_thread`).

        Raises
        ------
        LayoutError
            If it has no such control.
        """
        if self.threads is None:
            raise LayoutError(f"{self.label} cannot be limited: it has no function that sets its number of threads.")
        self.threads.set(count)

    @property
    def dynamic(self) -> tuple[Callable[[], int], Callable[[int], object]] | None:
        """How to read and set whether MKL may use fewer threads than it was set to; None for other libraries."""
        get, set_ = symbol(self.handle, "MKL_Get_Dynamic"), symbol(self.handle, "MKL_Set_Dynamic")
        return None if self.name != "mkl" or get is None or set_ is None else (get, set_)


def open_library(path: str, origin: str, fallback: BlasLibrary | None = None) -> BlasLibrary:
    """Load a file and say which BLAS it is.

    Raises
    ------
    LayoutError
        If it cannot be loaded, is no BLAS, or is one with 64-bit integers.
    """
    try:
        handle = load(path)
    except OSError as error:
        raise LayoutError(f"{path} cannot be loaded as a library: {error}.") from error
    return recognise(handle, path, origin, fallback)


def load(path: str) -> ctypes.CDLL:
    """Load a file so that its names are its own: neither given to other libraries nor taken from them."""
    own_names_first = getattr(os, "RTLD_DEEPBIND", 0)  # glibc only
    return ctypes.CDLL(path, mode=os.RTLD_LOCAL | os.RTLD_NOW | own_names_first)


def recognise(handle: ctypes.CDLL, path: str, origin: str, fallback: BlasLibrary | None = None) -> BlasLibrary:
    """Say which BLAS a loaded library is, or has among its dependencies; see `open_library`."""
    spelling = next((s for s in _SPELLINGS if symbol(handle, s.format("ddot")) is not None), None)
    if spelling is None:
        if any(symbol(handle, s.format("ddot")) is not None for s in _WIDE_SPELLINGS):
            raise LayoutError(f"{path} is a BLAS with 64-bit integers (ILP64), which compiled code cannot call.")
        raise LayoutError(f"{path} is no BLAS: it has no routine ddot.")
    dot = symbol(handle, spelling.format("ddot"))
    if not _takes_32_bit_integers(dot):
        raise LayoutError(f"{path} is a BLAS with 64-bit integers (ILP64), which compiled code cannot call.")
    path = os.path.realpath(_file_of(_address(dot)) or path)
    for kind in (_openblas, _mkl, _blis):
        described = kind(handle)
        if described is not None:
            break
    else:
        name = "accelerate" if "/Accelerate." in path or "/vecLib." in path else "blas"
        described = _Description(name, None, "unknown", None, None)
    name, version, layer, max_threads, threads = described
    return BlasLibrary(name, version, path, layer, origin, max_threads, handle, spelling, threads, fallback)


def symbol(handle: ctypes.CDLL, name: str):
    """Find a function in a library or in what it depends on; None if there is none."""
    try:
        return handle[name]
    except AttributeError:
        return None


class _Description(NamedTuple):
    name: str
    version: str | None
    layer: str
    max_threads: int | None
    threads: Threads | None


def _openblas(handle: ctypes.CDLL) -> _Description | None:
    prefix = next((p for p in ("", "scipy_") if symbol(handle, f"{p}openblas_get_config") is not None), None)
    if prefix is None:
        return None
    config = _text(handle, f"{prefix}openblas_get_config")
    version, most = re.search(r"OpenBLAS (\S+)", config), re.search(r"MAX_THREADS=(\d+)", config)
    parallel = symbol(handle, f"{prefix}openblas_get_parallel")
    layer = "unknown" if parallel is None else {0: "sequential", 1: "pthreads", 2: "openmp"}.get(parallel(), "unknown")
    # With OpenMP the library's own setter is broken before 0.3.34 (OpenBLAS issue 5806): OpenMP's is used.
    owner = "omp_{}_max_threads", "omp_set_num_threads"
    if layer != "openmp":
        owner = prefix + "openblas_{}_num_threads", prefix + "openblas_set_num_threads"
    threads = _threads(handle, owner[0].format("get"), owner[1], of_calling_thread=layer == "openmp")
    return _Description("openblas", version and version[1], layer, int(most[1]) if most else None, threads)


def _mkl(handle: ctypes.CDLL) -> _Description | None:
    version_string = symbol(handle, "MKL_Get_Version_String")
    if version_string is None:
        return None
    buffer = ctypes.create_string_buffer(200)
    version_string(buffer, ctypes.c_int(200))
    text = buffer.value.decode(errors="replace").strip()
    found = re.search(r"Version (\S+)", text)
    # An invalid layer changes nothing and makes the function return the layer in use.
    set_layer = symbol(handle, "MKL_Set_Threading_Layer")
    layer = "unknown" if set_layer is None else _MKL_LAYERS.get(set_layer(-1), "unknown")
    # Only the C names take an int: lower-case ones are the Fortran interface and would read it as an address.
    threads = _threads(handle, "MKL_Get_Max_Threads", "MKL_Set_Num_Threads_Local", of_calling_thread=True)
    return _Description("mkl", found[1] if found else text, layer, None, threads)


def _blis(handle: ctypes.CDLL) -> _Description | None:
    if symbol(handle, "bli_info_get_version_str") is None:
        return None
    version = _text(handle, "bli_info_get_version_str")
    layers = {"openmp": "bli_info_get_enable_openmp", "pthreads": "bli_info_get_enable_pthreads"}
    enabled = [layer for layer, name in layers.items() if (ask := symbol(handle, name)) is not None and ask()]
    layer = enabled[0] if enabled else "sequential"
    # Some versions keep one number for the process, others one for each thread; the latter is assumed.
    threads = _threads(handle, "bli_thread_get_num_threads", "bli_thread_set_num_threads", of_calling_thread=True)
    return _Description("blis", version, layer, None, threads)


def _threads(handle: ctypes.CDLL, get_name: str, set_name: str, *, of_calling_thread: bool) -> Threads | None:
    get, set_ = symbol(handle, get_name), symbol(handle, set_name)
    if get is None or set_ is None:
        return None
    set_.argtypes = [ctypes.c_int]
    # BLIS says -1 while nobody has set a number, and uses one thread then.
    return Threads(lambda: max(1, get()), set_, of_calling_thread)


def _text(handle: ctypes.CDLL, name: str) -> str:
    function = symbol(handle, name)
    function.restype = ctypes.c_char_p
    return (function() or b"").decode(errors="replace")


def _takes_32_bit_integers(dot) -> bool:
    """Ask for a product of length 2 in an integer that is negative when all of its 64 bits are read."""
    if sys.byteorder == "big":  # where no such integer exists
        return True
    dot.restype = ctypes.c_double
    n, step = ctypes.c_uint64(1 << 63 | 2), ctypes.c_uint64(1)
    values = (ctypes.c_double * 2)(3.0, 4.0)
    return dot(ctypes.byref(n), values, ctypes.byref(step), values, ctypes.byref(step)) == 25.0


def _address(function) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class _DlInfo(ctypes.Structure):
    _fields_ = (("file", ctypes.c_char_p), ("_", ctypes.c_void_p * 3))


def _file_of(address: int) -> str | None:
    """File that an address was loaded from; None where the system does not say."""
    info = _DlInfo()
    found = symbol(ctypes.CDLL(None), "dladdr")
    if found is None or not found(ctypes.c_void_p(address), ctypes.byref(info)) or not info.file:
        return None
    return os.fsdecode(info.file)
