"""Lets this process compile as on a processor of a level of x86-64: LLVM says so to Numba and to nutmill."""

import llvmlite.binding as llvm

from nutmill.native.processor import NATIVE, obstacle, target

LEVELS = (NATIVE, "x86-64-v2", "x86-64-v3", "x86-64-v4")


def pretend(name: str) -> None:
    """Be a processor of a level from now on; nothing may have been compiled yet.

    Raises
    ------
    ValueError
        If this processor cannot run code for it.
    """
    level, here = target(name), llvm.get_host_cpu_features()
    lacking = obstacle(level)
    if lacking is not None:
        raise ValueError(f"Tests cannot run as on {name}: {lacking}.")
    features = dict.fromkeys(level.features, True)
    llvm.get_host_cpu_name = lambda: name
    llvm.get_host_cpu_features = lambda: type(here)(features)
    target.cache_clear()
