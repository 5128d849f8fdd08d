"""Finds the BLAS libraries of this machine: SciPy's, those from packages, those of the system."""

import ctypes.util
import importlib.util
import os
import site
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

from threadpoolctl import ThreadpoolController

from nutmill.errors import LayoutError
from nutmill.layout.blas.library import BlasLibrary, open_library

__all__ = ["BlasLibrary", "BlasSurvey", "find_blas", "installed_blas", "scipy_blas", "survey_blas"]

_NAMES = ("mkl", "openblas", "blis")
_PATTERNS = ("libmkl_rt*", "lib*openblas*", "libblis*")
_ENDINGS = (".so", ".dylib")


class BlasSurvey(NamedTuple):
    """The BLAS libraries that were found.

    Attributes
    ----------
    libraries : tuple of BlasLibrary
        Those that compiled code can call; SciPy's first, if there is one.
    left_out : tuple of str
        A sentence for each of the others.
    """

    libraries: tuple[BlasLibrary, ...]
    left_out: tuple[str, ...]


class _Candidate(NamedTuple):
    path: str
    origin: str


@cache
def scipy_blas() -> BlasLibrary:
    """The library that ``scipy.linalg.cython_blas`` calls, and so Numba and PyTensor unless told otherwise.

    Raises
    ------
    LayoutError
        If none can be found.
    """
    # Names that are looked up in the module are found in the very libraries that it is linked to.
    candidates = [_cython_blas(), *(path for path in _loaded_files() if "scipy" in path)]
    reasons = []
    for path in candidates:
        try:
            behind = open_library(path, "SciPy's")
            return open_library(behind.path, "SciPy's") if os.path.isfile(behind.path) else behind
        except LayoutError as error:
            reasons.append(str(error))
    raise LayoutError(f"No BLAS was found behind SciPy: {' '.join(reasons)}")


def _cython_blas() -> str:
    """File of the module, found without importing what is around it, which takes 0.3 s."""
    scipy = importlib.util.find_spec("scipy")
    folders = [str(Path(folder, "linalg")) for folder in (scipy and scipy.submodule_search_locations) or ()]
    spec = PathFinder.find_spec("cython_blas", folders)
    if spec is not None and spec.origin is not None and os.path.isfile(spec.origin):
        return spec.origin
    from scipy.linalg import cython_blas  # SciPy lies elsewhere: in an archive, say

    return cython_blas.__file__


@cache
def find_blas(vendor: str | None = None) -> BlasLibrary:
    """Find a BLAS by name or path, and load it if it is not loaded yet.

    Parameters
    ----------
    vendor
        None for SciPy's; ``"openblas"``, ``"mkl"`` or ``"blis"`` for an installed one, with SciPy's own only
        where there is no other of that name; or the path of a library.

    Raises
    ------
    LayoutError
        If there is none; the sentence lists those that are installed, or says what is wrong with the path.
    """
    if vendor is None:
        return scipy_blas()
    if os.sep in vendor or vendor.endswith(_ENDINGS):
        if not os.path.isfile(vendor):
            raise LayoutError(f"There is no BLAS library {vendor}: the file does not exist.")
        return _opened(_Candidate(os.path.realpath(vendor), "path given"))
    reasons = []
    for candidate in _candidates():
        if vendor in os.path.basename(candidate.path):
            try:
                library = _opened(candidate)
            except LayoutError as error:
                reasons.append(str(error))
                continue
            if library.name == vendor:
                return library
    fallback = _scipy_or_none()
    if fallback is not None and fallback.name == vendor:
        return fallback
    raise LayoutError(_nothing_called(vendor, reasons))


def installed_blas() -> tuple[BlasLibrary, ...]:
    """The BLAS libraries of this machine that compiled code can call, SciPy's first; loads all of them."""
    return survey_blas().libraries


def survey_blas() -> BlasSurvey:
    """Look for BLAS libraries, load them, and say which cannot be used and why."""
    own = _scipy_or_none()
    libraries = {} if own is None else {own.path: own}
    left_out = {}
    loaded = [_Candidate(path, "loaded already") for path in _loaded_files()]
    for candidate in [*_candidates(), *loaded]:
        try:
            library = _opened(candidate)
            libraries.setdefault(library.path, library)
        except LayoutError as error:
            left_out[os.path.realpath(candidate.path)] = str(error)
    return BlasSurvey(tuple(libraries.values()), tuple(left_out.values()))


def _scipy_or_none() -> BlasLibrary | None:
    try:
        return scipy_blas()
    except LayoutError:
        return None


_opened_by_path: dict[str, BlasLibrary] = {}


def _opened(candidate: _Candidate) -> BlasLibrary:
    """Load a candidate, or give the library that has been loaded from the same file."""
    library = _opened_by_path.get(candidate.path)
    if library is None:
        own = _scipy_or_none()
        library = open_library(candidate.path, candidate.origin, own)
        if own is not None and own.path == library.path:
            library = own
        library = _opened_by_path.setdefault(library.path, library)
        _opened_by_path[candidate.path] = library
    return library


def _loaded_files() -> list[str]:
    return [info["filepath"] for info in ThreadpoolController().info() if info["user_api"] == "blas"]


def _candidates() -> Iterator[_Candidate]:
    """Files that may be BLAS libraries, each once, packages before the system's."""
    seen = set()
    for candidate in (*_from_package(), *_from_prefixes(), *_from_system()):
        path = os.path.realpath(candidate.path) if os.path.exists(candidate.path) else candidate.path
        if path not in seen:
            seen.add(path)
            yield _Candidate(path, candidate.origin)


def _from_package() -> Iterator[_Candidate]:
    found = importlib.util.find_spec("scipy_openblas32")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        yield from _in_folder(Path(folder, "lib"), "package scipy-openblas32")


def _from_prefixes() -> Iterator[_Candidate]:
    for prefix in dict.fromkeys((sys.prefix, sys.base_prefix, site.getuserbase())):
        yield from _in_folder(folder := Path(prefix, "lib"), f"folder {folder}")


def _in_folder(folder: Path, origin: str) -> Iterator[_Candidate]:
    for pattern in _PATTERNS:
        for path in sorted(folder.glob(pattern)):
            if any(ending in path.name for ending in _ENDINGS):
                yield _Candidate(str(path), origin)


def _from_system() -> Iterator[_Candidate]:
    for name in ("openblas", "blis", "mkl_rt", "blas"):
        found = ctypes.util.find_library(name)
        if found is not None:
            yield _Candidate(found, "the system")


def _nothing_called(vendor: str, reasons: list[str]) -> str:
    installed = ", ".join(library.label for library in installed_blas()) or "none at all"
    known = "" if vendor in _NAMES else f"; names are {', '.join(_NAMES)}"
    why = " ".join(["", *reasons])
    return f"No BLAS called {vendor!r} is installed{known}; a path works as well, and installed are: {installed}.{why}"
