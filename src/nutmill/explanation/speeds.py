"""What one core of this machine can do, and what one gradient takes: measured."""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nutmill.layout.applied import apply_layout
from nutmill.layout.layout import Layout
from nutmill.native.binding import Binding
from nutmill.native.teams import teams

# Larger than the last cache of most machines, and read in some ten milliseconds.
_VECTOR_BYTES = 1 << 26
_MATRIX = 640
_REPEATS, LEAST_S, _ROUNDS = 5, 0.02, 15
# Of what takes longer, noise is a small part: measured fewer times.
_LONG_S = 0.2


class MachineSpeed(NamedTuple):
    """What one core does when nothing else runs."""

    bytes_per_s: float  # read from memory, by BLAS's scalar product of a long vector and itself
    flops_per_s: float  # by BLAS's product of matrices, in float64


def machine_speed() -> MachineSpeed:
    """Measure it, in less than a second."""
    from scipy.linalg.blas import ddot, dgemm

    x = np.ones(_VECTOR_BYTES // 8)
    a = np.asfortranarray(np.random.default_rng(1).normal(size=(_MATRIX, _MATRIX)))
    with apply_layout(Layout(1)):
        reading = best(lambda: ddot(x, x))
        computing = best(lambda: dgemm(1.0, a, a))
    return MachineSpeed(x.nbytes / reading, 2.0 * _MATRIX**3 / computing)


def gradient_seconds(binding: Binding, position: np.ndarray, blas_threads: int = 1, tile_threads: int = 1) -> float:
    """Time one evaluation of density and gradient at `position` (n_dim,) with so many threads."""
    with apply_layout(Layout(1, blas_threads, tile_threads=tile_threads)), teams(1, tile_threads) as pool:
        repeat = (binding.with_teams(pool) if pool else binding).repeated(position)
        count = 1
        while (first := best(lambda: repeat(count), repeats=1)) < LEAST_S:  # noqa: B023  it is called at once
            count *= 2
        seconds = best(lambda: repeat(count), _REPEATS if first < _LONG_S else 2) / count
    binding.release()
    return seconds


def side_by_side(bindings: Sequence[Binding], position: np.ndarray) -> list[float]:
    """CPU seconds of one evaluation by each binding, with one BLAS thread each, measured in turn in many rounds."""
    loops = [binding.repeated(position) for binding in bindings]
    least = [math.inf] * len(loops)
    with apply_layout(Layout(1)):
        for loop in loops:
            loop(1)
        once = best(lambda: loops[0](1))
        count = max(1, int(LEAST_S / (4 * once)))
        for _ in range(_ROUNDS if once < _LONG_S else 3):
            for place, loop in enumerate(loops):
                begin = time.thread_time()
                loop(count)
                least[place] = min(least[place], (time.thread_time() - begin) / count)
    for binding in bindings:
        binding.release()
    return least


def best(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Return the least seconds of wall time that `work` takes: others disturb, nothing helps."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)
