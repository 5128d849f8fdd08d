"""What BLAS libraries say of themselves, each vendor's in its own way: version, architecture, layer, threads."""

import ctypes
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_MKL_LAYERS = {0: "intel", 1: "sequential", 2: "pgi", 3: "gnu", 4: "tbb"}
# Files that MKL loads on the first call, by the processor that it runs on.
_MKL_KERNELS = re.compile(r"/libmkl_(def|mc3?|avx\d*(?:_mic)?)\.(?:so|\d+\.dylib)")
# What OpenBLAS builds put around the names of its own functions: nothing, SciPy's wheels, 64-bit integers.
_OPENBLAS_NAMES = ("{}", "scipy_{}", "scipy_{}64_", "{}64_")


class Threads(NamedTuple):
    """How a library's number of threads is read and set."""

    get: Callable[[], int]
    set: Callable[[int], object]
    of_calling_thread: bool  # the number belongs to the calling thread, and others keep theirs; else to the process


class SelfReport(NamedTuple):
    """What a library says of itself; the fields are those of `BlasLibrary`."""

    name: str
    version: str | None
    layer: str
    architecture: str | None
    max_threads: int | None
    threads: Threads | None


def described(handle: ctypes.CDLL, path: str) -> SelfReport:
    """Ask a loaded library that has been called once, from file `path`."""
    for kind in (_openblas, _mkl, _blis):
        if (found := kind(handle, path)) is not None:
            return found
    if "/Accelerate." in path or "/vecLib." in path:
        return SelfReport("accelerate", None, "unknown", platform.machine(), None, None)
    return SelfReport("blas", None, "unknown", None, None, None)


def symbol(handle: ctypes.CDLL, name: str):
    """Find a function in a library or in what it depends on; None if there is none."""
    try:
        return handle[name]
    except AttributeError:
        return None


def _openblas(handle: ctypes.CDLL, path: str) -> SelfReport | None:
    named = next((n for n in _OPENBLAS_NAMES if symbol(handle, n.format("openblas_get_config")) is not None), None)
    if named is None:
        return None
    config, core = (_text(handle, named.format(f"openblas_get_{what}")) for what in ("config", "corename"))
    version, most = re.search(r"OpenBLAS (\S+)", config), re.search(r"MAX_THREADS=(\d+)", config)
    parallel = symbol(handle, named.format("openblas_get_parallel"))
    layer = "unknown" if parallel is None else {0: "sequential", 1: "pthreads", 2: "openmp"}.get(parallel(), "unknown")
    # With OpenMP the library's own setter is broken before 0.3.34 (OpenBLAS issue 5806): OpenMP's is used.
    owner = "omp_get_max_threads", "omp_set_num_threads"
    if layer != "openmp":
        owner = named.format("openblas_get_num_threads"), named.format("openblas_set_num_threads")
    threads = _threads(handle, *owner, of_calling_thread=layer == "openmp")
    return SelfReport("openblas", version and version[1], layer, core or None, int(most[1]) if most else None, threads)


def _mkl(handle: ctypes.CDLL, path: str) -> SelfReport | None:
    version_string = symbol(handle, "MKL_Get_Version_String")
    if version_string is None:
        return None
    buffer = ctypes.create_string_buffer(200)
    version_string(buffer, ctypes.c_int(200))
    text = buffer.value.decode(errors="replace").strip()
    found = re.search(r"Version ([^\s-]+)", text)
    # An invalid layer changes nothing and makes the function return the layer in use.
    set_layer = symbol(handle, "MKL_Set_Threading_Layer")
    layer = "unknown" if set_layer is None else _MKL_LAYERS.get(set_layer(-1), "unknown")
    # Only the C names take an int: lower-case ones are the Fortran interface and would read it as an address.
    threads = _threads(handle, "MKL_Get_Max_Threads", "MKL_Set_Num_Threads_Local", of_calling_thread=True)
    return SelfReport("mkl", found[1] if found else text, layer, _mkl_kernels(path), None, threads)


def _mkl_kernels(path: str) -> str | None:
    """The kernels that MKL has loaded, which it nowhere else tells; on processors of others than Intel "generic"."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    found = [line for line in mapped.splitlines() if os.path.dirname(path) in line and _MKL_KERNELS.search(line)]
    kernels = {match[1] for line in found if (match := _MKL_KERNELS.search(line)) is not None}
    return ", ".join(sorted("generic" if one == "def" else one for one in kernels)) or None


def _blis(handle: ctypes.CDLL, path: str) -> SelfReport | None:
    if symbol(handle, "bli_info_get_version_str") is None:
        return None
    version = _text(handle, "bli_info_get_version_str")
    layers = {"openmp": "bli_info_get_enable_openmp", "pthreads": "bli_info_get_enable_pthreads"}
    enabled = [layer for layer, name in layers.items() if (ask := symbol(handle, name)) is not None and ask()]
    layer = enabled[0] if enabled else "sequential"
    # Some versions keep one number for the process, others one for each thread; the latter is assumed.
    threads = _threads(handle, "bli_thread_get_num_threads", "bli_thread_set_num_threads", of_calling_thread=True)
    kind = symbol(handle, "bli_arch_query_id")
    architecture = None if kind is None else _text(handle, "bli_arch_string", kind()) or None
    return SelfReport("blis", version, layer, architecture, None, threads)


def _threads(handle: ctypes.CDLL, get_name: str, set_name: str, *, of_calling_thread: bool) -> Threads | None:
    get, set_ = symbol(handle, get_name), symbol(handle, set_name)
    if get is None or set_ is None:
        return None
    set_.argtypes = [ctypes.c_int]
    # BLIS says -1 while nobody has set a number, and uses one thread then.
    return Threads(lambda: max(1, get()), set_, of_calling_thread)


def _text(handle: ctypes.CDLL, name: str, *arguments: int) -> str:
    function = symbol(handle, name)
    if function is None:
        return ""
    function.restype = ctypes.c_char_p
    return (function(*arguments) or b"").decode(errors="replace")
