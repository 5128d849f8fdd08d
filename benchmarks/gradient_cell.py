"""Times the gradient and the sampling loop of one compiled model, in a process of its own."""

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import models, programs
from benchmarks.programs.program import Loop, Program
from nutmill.comparison.resources import Spent, timed

BURST_S, BURSTS = 0.2, 7


def main(request: str, answer: str) -> None:
    """Time what the JSON text `request` asks for and write microseconds to the file `answer`.

    The request holds model, program, draws (of the shorter sampling run; 0: none) and blas_threads, with which
    sampling runs (null: leave them).
    """
    cell = json.loads(request)
    model = models.build(cell["model"])
    program = programs.load(cell["program"])(model)
    # Bare gradients always have one BLAS thread, so that they compare with each other and with a sampler that
    # sets one by itself.
    with threadpool_limits(1, user_api="blas"):
        times = {
            "gradient": bare_gradient(program, starting_position(model), threads=1),
            "gradient_two_threads": bare_gradient(program, starting_position(model), threads=2),
        }
    threads = cell["blas_threads"]
    if cell["draws"]:
        with threadpool_limits(threads, user_api="blas") if threads else nullcontext():
            times |= {
                "sampling": sampling(program, cell["draws"], cores=1),
                "sampling_two_cores": sampling(program, cell["draws"], cores=2),
            }
    Path(answer).write_text(json.dumps({name: spent._asdict() for name, spent in times.items()}))


def bare_gradient(program: Program, position: np.ndarray, threads: int) -> Spent:
    """Return microseconds per gradient, the median of several bursts, with `threads` callers at once.

    The wall time is that of all callers divided by all gradients: two perfect threads halve it.
    """
    loops = [program.bind(position.copy()) for _ in range(threads)]
    count = _burst_length(loops[0])
    bursts = [timed(lambda: _together(loops, count)) for _ in range(BURSTS + 1)]
    if any(failures for failures, _ in bursts):
        raise RuntimeError("the density fails at the start of this model; its gradient cannot be timed")
    # The first burst wakes up pools and caches.
    each = np.array([spent for _, spent in bursts[1:]]) * 1e6 / (count * threads)
    return Spent(*np.median(each, axis=0).tolist())


def sampling(program: Program, draws: int, cores: int) -> Spent:
    """Return microseconds per gradient while two chains sample on `cores` cores.

    Two runs with one seed, of `draws` and of `3 * draws`, have the same warmup and the same fixed costs; what
    they differ by is sampling alone.
    """
    short, short_spent = timed(lambda: program.sample(draws, 2, cores))
    long, long_spent = timed(lambda: program.sample(3 * draws, 2, cores))
    return Spent(*((b - a) * 1e6 / (long - short) for a, b in zip(short_spent, long_spent, strict=True)))


def _together(loops: list[Loop], count: int) -> int:
    """Run all loops at once, each in a thread, and return how many evaluations have failed."""
    failures = []
    threads = [threading.Thread(target=lambda loop=loop: failures.append(loop(count))) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(failures)


def _burst_length(loop: Callable[[int], int]) -> int:
    """Find how many evaluations fill a burst; the first call of the loop compiles it."""
    loop(1)
    count = 1
    while True:
        start = time.perf_counter()
        loop(count)
        taken = time.perf_counter() - start
        if taken > BURST_S / 4:
            return max(1, round(count * BURST_S / taken))
        count *= 4


def starting_position(model) -> np.ndarray:
    """Return a point near the model's start, away from the zeros that could make arithmetic cheap."""
    start = np.concatenate([np.ravel(value) for value in model.initial_point().values()]).astype(float)
    return start + 0.1 * np.random.default_rng(1).normal(size=start.size)


if __name__ == "__main__":
    main(*sys.argv[1:])
