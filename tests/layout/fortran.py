"""Calls Fortran routines at an address, as compiled code does, and makes CPU topologies by hand."""

import ctypes
import os
import threading
import time

import numpy as np

from nutmill.layout.machine.topology import Topology

# Fortran arguments are addresses.
_DGEMM = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)
_DPOTRF = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5)

MATRIX = np.random.default_rng(1).normal(size=(300, 300))


def product(library, left=MATRIX, right=MATRIX):
    """Multiply two square matrices by the library's dgemm."""
    n, out = len(left), np.empty_like(left)
    size, one, zero, plain = ctypes.c_int(n), ctypes.c_double(1.0), ctypes.c_double(0.0), ctypes.c_char(b"N")
    n_, one_, zero_, plain_ = (ctypes.addressof(value) for value in (size, one, zero, plain))
    # In Fortran's order of elements the factors change places.
    a, b, c = right.ctypes.data, left.ctypes.data, out.ctypes.data
    _DGEMM(library.address("dgemm"))(plain_, plain_, n_, n_, n_, one_, a, n_, b, n_, zero_, c, n_)
    return out


def factor(library, matrix):
    """Cholesky-factorise by the library's dpotrf."""
    out = np.array(matrix, order="F")
    size, info, lower = ctypes.c_int(len(matrix)), ctypes.c_int(1), ctypes.c_char(b"L")
    n_, info_, lower_ = (ctypes.addressof(value) for value in (size, info, lower))
    _DPOTRF(library.address("dpotrf"))(lower_, n_, out.ctypes.data, n_, info_)
    assert info.value == 0
    return np.tril(out)


def machine(cores, numa_nodes=None, fast_cores=None, n_cores=None):
    """Make a topology of physical cores, each a tuple of CPUs."""
    cpus = tuple(sorted(cpu for core in cores for cpu in core))
    return Topology(
        cpus=cpus,
        cores=tuple(cores),
        numa_nodes=(cpus,) if numa_nodes is None else tuple(numa_nodes),
        n_cores=len(cores) if n_cores is None else n_cores,
        bound_by="made by hand",
        quota=None,
        scheduler=None,
        scheduler_cpus=None,
        fast_cores=tuple(cores) if fast_cores is None else tuple(fast_cores),
        caches=(),
        memory_bytes=None,
        cpu_model="made by hand",
        readings=(),
    )


def in_thread(work, *arguments):
    """Run in a new thread and give the result, or raise what it raised."""
    outcome = []

    def run():
        try:
            outcome.append((work(*arguments), None))
        except BaseException as error:  # handed over to the caller's thread
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def threads_of_this_process():
    """Ids of all threads, also those that libraries started."""
    return {int(name) for name in os.listdir("/proc/self/task")}


def wait_until(condition, most_s=5.0):
    """Wait for what the system does on its own time; fails if it never does."""
    end = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)
