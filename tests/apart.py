"""A model with divergences, short and long runs of it, and pools of processes, for tests of executors."""

import functools
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from same_results import assert_same

from nutmill import CompiledModel, compile_model, sample_numba
from nutmill.checkpoint.lock import read_owner

QUIET = {"progressbar": False, "compute_convergence_checks": False}
EXTRAS = {"include_transformed": True, "divergences": True}
# Ten chains: the last group has two.
OPTIONS = {
    "draws": 120,
    "chains": 10,
    "random_seed": 4,
    "discard_tuned_samples": False,
    "idata_kwargs": EXTRAS,
    **QUIET,
}
# A gradient of so many takes some tens of microseconds, so that a group takes a second or so.
_MANY_ROWS = 10_000


def funnel() -> pm.Model:
    """Effects with a scale of their own, of which few rows of data say little."""
    rng = np.random.default_rng(8)
    with pm.Model() as model:
        x = pm.Data("x", rng.normal(size=(2, 6)))
        log_scale = pm.Normal("log_scale", 0.0, 3.0)
        effect = pm.Normal("effect", 0.0, pt.exp(log_scale), shape=6)
        noise = pm.HalfNormal("noise", 1.0)
        pm.Normal("y", x @ effect, noise, observed=pm.Data("y_data", rng.normal(size=2)))
        pm.Potential("wall", pt.switch(log_scale < 1.2, 0.0, -np.inf))  # at which trajectories diverge
    return model


@functools.cache
def short() -> CompiledModel:
    """Compile it, once a session."""
    return compile_model(funnel())


@functools.cache
def long() -> CompiledModel:
    """Give it with so much data that workers can be killed while they sample."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(_MANY_ROWS, 6))
    return short().with_data(x=x, y_data=x.sum(axis=1) + rng.normal(size=_MANY_ROWS))


@functools.cache
def reference(name: str = "short"):
    """Sample in threads of this process."""
    compiled = {"short": short, "long": long}[name]()
    result = sample_numba(compiled, **OPTIONS)
    if name == "short":
        assert int(result.sample_stats["diverging"].sum()) > 0
    return result


def assert_equals_local_run(result, name: str = "short") -> None:
    """Compare with a run in threads of this process."""
    assert_same(result, reference(name))


@contextmanager
def processes(count: int = 2) -> Iterator[ProcessPoolExecutor]:
    """Start processes that have nothing of this one."""
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def sampling_process(path: Path) -> tuple[int, Path]:
    """Wait until a group of a run has draws and a checkpoint in its folder, and tell the process and the folder."""
    deadline = time.monotonic() + 120
    while True:
        assert time.monotonic() < deadline
        for part in (path / "parts").glob("*"):
            owner = read_owner(part / "lock")
            has_draws = any(file.stat().st_size > 0 for file in part.glob("chains/*.draws"))
            if owner is not None and has_draws and len(list(part.glob("groups/*.state"))) == 2:
                return owner.pid, part
        time.sleep(0.02)


def in_background(work: Callable[[], None]) -> Callable[[], None]:
    """Run something in a thread; return what waits for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread.join
