"""What a library may change of the process that it lives in, and must give back."""

import gc
import locale
import logging
import os
import random
import resource
import signal
import sys
import threading
import warnings

import numpy as np
from threadpoolctl import threadpool_info

from nutmill.layout.blas.find import installed_blas


def thread_counts() -> dict[str, int]:
    """Threads of every BLAS and OpenMP pool of this process, by file."""
    return {info["filepath"]: info["num_threads"] for info in threadpool_info()}


def process_state() -> dict[str, object]:
    """Look at all of it: what compares equal before and after has not been changed."""
    installed_blas()  # a library that is loaded later would count as a change
    umask = os.umask(0)
    os.umask(umask)
    loggers = {name: logging.getLogger(name) for name in ("", "nutmill", "pymc", "pytensor", "numba")}
    return {
        "BLAS threads": thread_counts(),
        "affinity": os.sched_getaffinity(0),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "blocked signals": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "working folder": os.getcwd(),
        "umask": umask,
        "errstate": np.geterr(),
        "logging": {name: (one.level, list(one.handlers), one.disabled) for name, one in loggers.items()},
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook),
        "locale": locale.setlocale(locale.LC_ALL),
        "limits": {number: resource.getrlimit(number) for number in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)},
        "recursion and switching": (sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled()),
        "random states": (random.getstate(), np.random.get_state()[1].tolist()),
        "paths": list(sys.path),
        "open files": open_files(),
        "Python's threads": sorted(thread.name for thread in threading.enumerate()),
    }


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Names of what differs."""
    return [name for name, value in before.items() if after[name] != value]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
