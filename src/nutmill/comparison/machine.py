"""Says on which machine and with which software a result was measured."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

PACKAGES = (
    *("nutmill", "nutpie", "numpyro", "blackjax", "jax", "pystan", "pymc", "pytensor"),
    *("numba", "llvmlite", "numpy", "scipy", "arviz"),
)

_ABSENT = "not installed"


def identity() -> dict:
    """Return what identifies this machine: processor, cores, memory, kernel, Python, packages, BLAS."""
    import scipy.linalg  # noqa: F401  (brings the BLAS that is named below)

    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": versions(PACKAGES),
        "blas": blas_in_use(),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each package, or that there is none."""
    return {package: _version(package) for package in packages}


def is_installed(package: str) -> bool:
    """Tell whether there is any version of a package."""
    return _version(package) != _ABSENT


def load_average() -> list[float]:
    """Return the mean number of runnable processes over the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def blas_in_use() -> list[str]:
    """Return the BLAS libraries in this process, with their versions and threads."""
    return sorted(
        f"{pool['internal_api']} {pool['version']} ({pool['num_threads']} threads)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    )


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT
