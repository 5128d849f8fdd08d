"""Ctrl-C at random moments of a compile: it ends the compile, or that ends by itself, and the next compile works."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import saved
import zoo

import nutmill
from campaigns.caches import cache_at, new_cache
from campaigns.process_state import changed, process_state
from campaigns.trials import WHOLE, digest_of, in_child, must_work
from nutmill import sample_numba

SIZE = {"draws": 20, "tune": 20, "chains": 1, "random_seed": 1, **WHOLE}
MODELS = {"small": saved.model, "regression": zoo.regression}
# Every so many trials the sampler itself is not in the cache, and compiles too.
_EVERY_KERNEL = 10


def interrupts(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Interrupt the compile of a model with an empty cache, then compile and sample it in the same process."""
    models = {name: build() for name, build in MODELS.items()}
    expected = {name: digest_of(sample_numba(nutmill.compile_model(model), **SIZE)) for name, model in models.items()}
    trial, usual_s = 0, {}
    while True:
        trial += 1
        name, with_kernel = rng.choice(list(models)), trial % _EVERY_KERNEL != 0
        model, key = models[name], (name, with_kernel)
        if key not in usual_s:
            begin = time.monotonic()
            with cache_at(new_cache(folder / f"usual-{name}-{with_kernel}", with_kernel=with_kernel)):
                in_child(lambda model=model: nutmill.compile_model(model))
            usual_s[key] = time.monotonic() - begin
        after_s = rng.uniform(0.0, usual_s[key])
        with cache_at(new_cache(folder / str(trial), with_kernel=with_kernel)):
            found = must_work(lambda model=model, s=after_s: _interrupted(model, s), (expected[name], []))
        yield f"{name} {'' if with_kernel else 'and sampler '}after {after_s:.2f} of {usual_s[key]:.2f} s", found


def _interrupted(model, after_s: float) -> tuple[str, list[str]]:
    """Compile with Ctrl-C after some seconds, and once more; return draws, and what of the process changed."""
    before = process_state()
    timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        nutmill.compile_model(model)
        timer.cancel()
        timer.join()
    except KeyboardInterrupt:
        timer.join()
    after = changed(before, process_state())
    if after:
        print("  changed:", after, flush=True)
    return digest_of(sample_numba(nutmill.compile_model(model), **SIZE)), after
