"""Finds the BLAS libraries of this machine: SciPy's, those from packages, those of the system."""

import importlib.util
import os
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

from threadpoolctl import ThreadpoolController

from nutmill.errors import LayoutError
from nutmill.layout.blas.library import BlasLibrary, open_library, wide_sentence
from nutmill.layout.blas.library_files import ENDINGS, LibraryFile, places
from nutmill.layout.blas.trial import Trial, all_tried, tried

__all__ = ["BlasLibrary", "BlasSurvey", "find_blas", "installed_blas", "name_of", "scipy_blas", "survey_blas"]

_NAMES = ("mkl", "openblas", "blis")


class BlasSurvey(NamedTuple):
    """The BLAS libraries that were found."""

    libraries: tuple[BlasLibrary, ...]  # those that compiled code can call; SciPy's first, if there is one
    left_out: tuple[str, ...]  # a sentence for each that cannot be used
    # What is known of those that are sound, but have 64-bit integers (ILP64), which compiled code cannot call; see
    # `trial.Trial`.
    wide: tuple[dict[str, Any], ...] = ()


@cache
def scipy_blas() -> BlasLibrary:
    """The library that ``scipy.linalg.cython_blas`` calls, and by default Numba and PyTensor.

    Raises LayoutError if none can be found.
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

    None or ``"scipy"`` is SciPy's; ``"openblas"``, ``"mkl"`` or ``"blis"`` an installed one, with SciPy's own only
    where there is no other of that name; else it is the path of a library. Each but SciPy's is tried in a process of
    its own first, once a process. Raises LayoutError if there is none; the sentence lists those that are installed, or
    says what is wrong with the path.
    """
    if vendor is None:
        return scipy_blas()
    if vendor == "scipy":
        return scipy_blas()
    if os.sep in vendor or vendor.endswith(ENDINGS):
        if not os.path.isfile(vendor):
            raise LayoutError(f"There is no BLAS library {vendor}: the file does not exist.")
        return _opened(LibraryFile(os.path.realpath(vendor), "path given"))
    reasons = []
    for place in places():
        if vendor in os.path.basename(place.path):
            try:
                library = _opened(place)
            except LayoutError as error:
                reasons.append(str(error))
                continue
            if library.name == vendor:
                return library
    fallback = _scipy_or_none()
    if fallback is not None and fallback.name == vendor:
        return fallback
    raise LayoutError(_nothing_called(vendor, reasons))


def name_of(library: BlasLibrary) -> str | None:
    """Say by which `Layout.blas` a library is found again: None for SciPy's, its vendor's name, or its path."""
    if library is _scipy_or_none():
        return None
    try:
        return library.name if find_blas(library.name) is library else library.path
    except LayoutError:
        return library.path


def installed_blas() -> tuple[BlasLibrary, ...]:
    """The BLAS libraries of this machine that compiled code can call, SciPy's first; loads all of them."""
    return survey_blas().libraries


def survey_blas() -> BlasSurvey:
    """Look for BLAS libraries, try each in a process of its own, load the sound ones, and say why not the others."""
    own = _scipy_or_none()
    libraries = {} if own is None else {own.path: own}
    left_out, wide = {}, {}
    loaded = [LibraryFile(os.path.realpath(path), "loaded already") for path in _loaded_files()]
    found = {place.path: place for place in (*loaded, *places()) if place.path not in libraries}
    for place, trial in zip(found.values(), all_tried(found, _runtimes()), strict=True):
        try:
            library = _opened(place, trial)
            libraries.setdefault(library.path, library)
        except LayoutError as error:
            if trial.facts is not None and trial.facts["integer_bits"] != 32:
                wide[trial.facts["path"]] = trial.facts | {"origin": place.origin}
            else:
                left_out[place.path] = str(error)
    return BlasSurvey(tuple(libraries.values()), tuple(left_out.values()), tuple(wide.values()))


def _scipy_or_none() -> BlasLibrary | None:
    try:
        return scipy_blas()
    except LayoutError:
        return None


_opened_by_path: dict[str, BlasLibrary] = {}


def _opened(place: LibraryFile, trial: Trial | None = None) -> BlasLibrary:
    """Load a library that has been tried, or give the one that has been loaded from the same file."""
    library = _opened_by_path.get(place.path)
    if library is None:
        own = _scipy_or_none()
        if own is not None and own.path == place.path:
            return own
        facts, failure = trial or tried(place.path, _runtimes())
        if failure is not None:
            raise LayoutError(failure)
        if facts is not None and facts["integer_bits"] != 32:
            raise LayoutError(wide_sentence(place.path))
        library = open_library(place.path, place.origin, own)
        if own is not None and own.path == library.path:
            library = own
        library = _opened_by_path.setdefault(library.path, library)
        _opened_by_path[place.path] = library
    return library


def _loaded_files() -> list[str]:
    return [info["filepath"] for info in ThreadpoolController().info() if info["user_api"] == "blas"]


def _runtimes() -> list[str]:
    """OpenMP libraries of this process: a BLAS may bring another, and some end the process then."""
    return [info["filepath"] for info in ThreadpoolController().info() if info["user_api"] == "openmp"]


def _nothing_called(vendor: str, reasons: list[str]) -> str:
    installed = ", ".join(library.label for library in installed_blas()) or "none at all"
    known = "" if vendor in _NAMES else f"; names are {', '.join(_NAMES)}"
    why = " ".join(["", *reasons])
    return f"No BLAS called {vendor!r} is installed{known}; a path works as well, and installed are: {installed}.{why}"
