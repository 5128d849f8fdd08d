"""Says on which machine and with which software a result was measured."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from nutmill.layout.machine.topology import topology

PACKAGES = (
    *("nutmill", "nutpie", "numpyro", "blackjax", "jax", "pystan", "pymc", "pytensor"),
    *("numba", "llvmlite", "numpy", "scipy", "arviz"),
)

_ABSENT = "not installed"


def identity() -> dict:
    """Return what identifies this machine: processor, cores, memory, kernel, Python, packages, BLAS."""
    import scipy.linalg  # noqa: F401  (brings the BLAS that is named below)

    here = topology()
    return {
        "cpu": here.cpu_model,
        "usable_cores": here.n_cores,
        "memory_gb": round((here.memory_bytes or 0) / 2**30, 1),
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


def blas_in_use() -> list[str]:
    """Return the BLAS libraries in this process, with their versions and threads."""
    return sorted(
        f"{pool['internal_api']} {pool['version']} ({pool['num_threads']} threads)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT
