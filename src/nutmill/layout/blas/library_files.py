"""Where BLAS libraries may lie on this machine: packages, folders of environments, what the loader knows."""

import ctypes.util
import importlib.util
import os
import re
import site
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PATTERNS = ("libmkl_rt*", "lib*openblas*", "libblis*")
ENDINGS = (".so", ".dylib")
_OF_LOADER = re.compile(r"^\s*(lib(?:mkl_rt|\w*openblas\w*|blis\S*|blas|f77blas)\.so\S*) .*=> (\S+)$", re.MULTILINE)


class LibraryFile(NamedTuple):
    """A file that may be a BLAS library, and who brought it."""

    path: str
    origin: str


def places() -> list[LibraryFile]:
    """Files that may be BLAS libraries, each once under its real path; packages before the system's."""
    found: dict[str, LibraryFile] = {}
    for path, origin in (*_from_packages(), *_from_prefixes(), *_from_system()):
        real = os.path.realpath(path) if os.path.exists(path) else path
        found.setdefault(real, LibraryFile(real, origin))
    return list(found.values())


def _from_packages() -> Iterator[LibraryFile]:
    for package in ("scipy_openblas32", "scipy_openblas64"):
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found is not None else ():
            yield from _in_folder(Path(folder, "lib"), f"package {package.replace('_', '-')}")
    for package in ("scipy", "numpy"):  # their wheels keep libraries in folders beside the packages
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found is not None else ():
            yield from _in_folder(Path(folder).with_name(f"{package}.libs"), f"package {package}")
    for folder in sys.path:
        yield from _in_folder(Path(folder, "cmeel.prefix", "lib"), "package cmeel-openblas")


def _from_prefixes() -> Iterator[LibraryFile]:
    prefixes = dict.fromkeys((sys.prefix, sys.base_prefix, site.getuserbase(), os.environ.get("CONDA_PREFIX")))
    prefixes |= dict.fromkeys((os.environ.get("MKLROOT"), "/opt/intel/oneapi/mkl/latest"))
    for prefix in filter(None, prefixes):
        yield from _in_folder(folder := Path(prefix, "lib"), f"folder {folder}")
    for name in filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)):
        yield from _in_folder(Path(name), f"folder {name}")


def _in_folder(folder: Path, origin: str) -> Iterator[LibraryFile]:
    for pattern in _PATTERNS:
        for path in sorted(folder.glob(pattern)):
            if any(ending in path.name for ending in ENDINGS):
                yield LibraryFile(str(path), origin)


def _from_system() -> Iterator[LibraryFile]:
    known = _known_to_loader()
    if known is not None:
        for _, path in _OF_LOADER.findall(known):
            yield LibraryFile(path, "the system")
        return
    for name in ("openblas", "blis", "mkl_rt", "blas", "Accelerate"):
        if (found := ctypes.util.find_library(name)) is not None:
            yield LibraryFile(found, "the system")


@cache
def _known_to_loader() -> str | None:
    """All libraries that glibc's loader finds by their names; None elsewhere."""
    try:
        listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return listed.stdout
