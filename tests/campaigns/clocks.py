"""The clock of the machine jumps back while a run goes on: its draws, its limits of time and its folder bear that."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import zoo

import nutmill
from campaigns import stops
from campaigns.trials import QUIET, digest_of, must_work
from nutmill import sample_numba

HOUR_S = 3600.0
# More than is drawn in any time that a trial may take.
NEVER = 2_000_000


class Clock:
    """What `time.time` tells from now on in this process."""

    def __init__(self) -> None:
        self._true, self._back_s = time.time, 0.0
        time.time = lambda: self._true() - self._back_s

    def back(self, seconds: float) -> None:
        self._back_s += seconds


def clocks(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Let a run with a folder be stopped by its limit of time, while the clock jumps, and go on."""
    compiled, trial = zoo.compiled("regression"), 0
    begin = time.monotonic()
    expected = digest_of(sample_numba(compiled, **stops.ASKED, chains=4, cores=2, **QUIET))
    usual_s = time.monotonic() - begin
    while True:
        trial += 1
        executor, limit_s = bool(rng.integers(2)), usual_s * rng.uniform(0.2, 1.0)
        jump = rng.uniform(0.0, limit_s), HOUR_S * 10 ** rng.uniform(0.0, 5.0)
        path = folder / str(trial)

        def work(path=path, executor=executor, limit_s=limit_s, jump=jump):
            clock = Clock()
            threading.Timer(jump[0], clock.back, jump[1:]).start()
            with ThreadPoolExecutor(2) if executor else nullcontext() as threads:
                options = {"executor": threads, "every": stops.EVERY_S, **QUIET}
                asked = stops.ASKED | {"draws": NEVER, "chains": 4, "max_time": limit_s}
                result = sample_numba(compiled, **asked, checkpoint=path, **options)
                if result.attrs["stopped_by"] != "max_time":
                    return ["the limit of time did not hold"]
                clock.back(HOUR_S)
                nutmill.status(path)
                return digest_of(nutmill.resume(path, compiled, draws=stops.ASKED["draws"], **options))

        how = must_work(work, expected)
        yield f"{'executor' if executor else 'threads'}, back {jump[1]:.0f} s after {jump[0]:.2f} s", how
