"""One BLAS library in this process: which it is, where its routines lie, how many threads it uses."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from nutmill.errors import LayoutError
from nutmill.layout.blas.vendors import Threads, described, symbol

# How libraries spell the Fortran name `ddot`: SciPy's wheels, nearly everyone else, Apple, those that append nothing.
_SPELLINGS = ("scipy_{}_", "{}_", "{}$NEWLAPACK", "{}")
_WIDE_SPELLINGS = ("scipy_{}_64_", "{}_64_", "{}64_")  # libraries with 64-bit integers (ILP64) only


@dataclass(frozen=True, eq=False)
class BlasLibrary:
    """A loaded BLAS, mostly with 32-bit integers (LP64). Made by `scipy_blas`, `find_blas` and `installed_blas`."""

    name: str  # ``"openblas"``, ``"mkl"``, ``"blis"``, ``"accelerate"``, or ``"blas"`` for one that does not say
    version: str | None  # as the library itself reports it
    path: str  # file of the library
    layer: str  # what makes its threads: ``"pthreads"``, ``"openmp"``, ``"sequential"``, MKL's layers, or ``"unknown"``
    origin: str  # who brought it, for example ``"SciPy's"``
    max_threads: int | None  # the most threads that the build allows, where it says so
    handle: ctypes.CDLL = field(repr=False)
    spelling: str = field(repr=False)
    threads: Threads | None = field(repr=False)
    fallback: BlasLibrary | None = field(default=None, repr=False)
    # Whose processors' code it runs here, in the vendor's words, for example ``"Zen"``; None if it does not say.
    architecture: str | None = None
    integer_bits: int = 32  # of its integers; compiled code can call those of 32 bits alone

    @property
    def label(self) -> str:
        """Name, version and origin in a few words."""
        return f"{self.name} {self.version or 'of unknown version'} ({self.origin})"

    @property
    def digest(self) -> str:
        """SHA-256 of its file, in hexadecimal digits; empty where no file can be read."""
        try:
            state = os.stat(self.path)
            return _digest(self.path, state.st_mtime_ns, state.st_size)
        except OSError:
            return ""

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

        One that this library lacks is taken from SciPy's library. Raises LayoutError if neither has it.
        """
        function = symbol(self.handle, self.spelling.format(routine))
        if function is not None:
            return _address(function)
        if self.fallback is not None:
            return self.fallback.address(routine)
        raise LayoutError(f'{self.label} has no routine {routine!r}; names are Fortran ones such as "dgemm".')

    def as_dict(self) -> dict:
        """Give what identifies it, as plain values for JSON."""
        names = ("name", "version", "architecture", "layer", "path", "origin")
        return {name: getattr(self, name) for name in names}

    def get_threads(self) -> int | None:
        """Read how many threads a call from this thread may use; None where the library does not say."""
        return None if self.threads is None else self.threads.get()

    def set_threads(self, count: int) -> None:
        """Set how many threads a call may use: in this process, or of this thread (`threads.of_calling_thread`).

        Raises LayoutError if it has no such control.
        """
        if self.threads is None:
            raise LayoutError(f"{self.label} cannot be limited: it has no function that sets its number of threads.")
        self.threads.set(count)

    @property
    def dynamic(self) -> tuple[Callable[[], int], Callable[[int], object]] | None:
        """How to read and set whether MKL may use fewer threads than it was set to; None for other libraries."""
        get, set_ = symbol(self.handle, "MKL_Get_Dynamic"), symbol(self.handle, "MKL_Set_Dynamic")
        return None if self.name != "mkl" or get is None or set_ is None else (get, set_)


def open_library(path: str, origin: str, fallback: BlasLibrary | None = None, *, wide: bool = False) -> BlasLibrary:
    """Load a file and say which BLAS it is; `fallback` has the routines that it lacks.

    Raises LayoutError if it cannot be loaded, is no BLAS, or has 64-bit integers, unless such will do (`wide`): to be
    told of, not to be called.
    """
    try:
        handle = load(path)
    except OSError as error:
        raise LayoutError(f"{path} cannot be loaded as a library: {error}.") from error
    library = recognise(handle, path, origin, fallback)
    if library.integer_bits != 32 and not wide:
        raise LayoutError(wide_sentence(path))
    return library


def wide_sentence(path: str) -> str:
    """Say why a library with 64-bit integers cannot be had."""
    return f"{path} is a BLAS with 64-bit integers (ILP64), which compiled code cannot call."


def load(path: str) -> ctypes.CDLL:
    """Load a file so that its names are its own: neither given to other libraries nor taken from them."""
    own_names_first = getattr(os, "RTLD_DEEPBIND", 0)  # glibc only
    return ctypes.CDLL(path, mode=os.RTLD_LOCAL | os.RTLD_NOW | own_names_first)


def recognise(handle: ctypes.CDLL, path: str, origin: str, fallback: BlasLibrary | None = None) -> BlasLibrary:
    """Say which BLAS a loaded library is, or has among its dependencies; see `open_library`."""
    every = (*_SPELLINGS, *_WIDE_SPELLINGS)
    spelling = next((s for s in every if symbol(handle, s.format("ddot")) is not None), None)
    if spelling is None:
        raise LayoutError(f"{path} is no BLAS: it has no routine ddot.")
    dot = symbol(handle, spelling.format("ddot"))
    bits = 32 if spelling in _SPELLINGS and _takes_32_bit_integers(dot) else 64
    path = os.path.realpath(_file_of(_address(dot)) or path)
    name, version, layer, architecture, most, threads = described(handle, path)
    return BlasLibrary(
        name, version, path, layer, origin, most, handle, spelling, threads, fallback, architecture, bits
    )


@lru_cache(maxsize=16)
def _digest(path: str, mtime_ns: int, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
