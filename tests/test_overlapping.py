"""Runs that overlap in one process: the draws of each are those that it has alone, and the process is left as found."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from results import assert_same
from threadpoolctl import threadpool_info, threadpool_limits

from nutmill import Layout, SamplingError, adaptation_of, compile_model
from nutmill.identity import identity
from nutmill.layout.blas import installed_blas

QUIET = {"progressbar": False, "compute_convergence_checks": False}
SHORT = {"draws": 4, "tune": 6, "chains": 1, "max_treedepth": 2, "random_seed": 1, **QUIET}
DRAWN = ("posterior", "sample_stats")
ONE, TWO = Layout(1, 1), Layout(1, 2)


def pools():
    return {info["filepath"]: info["num_threads"] for info in threadpool_info()}


@pytest.fixture(autouse=True, scope="module")
def all_libraries():
    """A library that is loaded later would count as a change."""
    installed_blas()


@pytest.fixture(autouse=True)
def process_as_it_was():
    """Every test must leave the process as it found it, in every thread."""
    before = pools()
    yield
    assert pools() == before
    with threadpool_limits(3):  # no thread that has ended, or goes on, keeps others from setting limits
        assert set(pools().values()) == {3}
    assert pools() == before


@pytest.fixture(scope="module")
def process():
    """Factors of so large matrices that all BLAS threads make them: of data alone, in the density, in what is reported.

    Their last bits depend on how many threads there are.
    """
    rng = np.random.default_rng(1)
    with pm.Model() as model:
        x = pm.Data("x", rng.normal(size=(300, 200)))
        scale, noise = pm.HalfNormal("scale"), pm.HalfNormal("noise")
        gram = x.T @ x / 300
        pm.Potential("of_data", 1e-3 * pt.tanh(scale * pt.linalg.cholesky(gram + np.eye(200))).sum())
        pm.MvNormal("y", np.zeros(200), cov=scale * gram + (noise + 0.1) * np.eye(200), observed=rng.normal(size=200))
        pm.Deterministic("root", pt.linalg.cholesky(scale * gram + np.eye(200))[-1])
    return compile_model(model)


@pytest.fixture(scope="module")
def plain():
    """A model that calls no BLAS."""
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0, shape=5)
    return compile_model(model)


@pytest.fixture(scope="module")
def alone(process):
    """What the process draws with one and with two BLAS threads when nothing else runs."""
    return {layout: process.sample(**SHORT, layout=layout) for layout in (ONE, TWO)}


def test_threads_of_blas_matter_to_this_model(alone):
    with pytest.raises(AssertionError):
        assert_same(alone[ONE], alone[TWO], DRAWN)


def test_draws_do_not_depend_on_threads_outside_of_sampling(process, alone):
    """Those of the process, with which data are prepared, what is reported is computed, and runs are recognised."""
    data = {"x": process.description.arrays[0].value + 0.0}
    found = []
    for count in (1, 2):
        with threadpool_limits(count):
            again = process.with_data(**data)
            assert_same(again.sample(**SHORT, layout=ONE), alone[ONE], DRAWN)
            reported = again.expand(np.ones((3, again.n_dim)))["root"]
            prepared = [array.tobytes() for array in again.binding.record.arrays]
            found.append((prepared, reported.tobytes(), identity(again, "")["model"]))
    assert found[0] == found[1]


def test_eight_at_once(process, plain, alone):
    layouts = [ONE, TWO, ONE, ONE, ONE]
    untouched = plain.sample(**SHORT)
    with ThreadPoolExecutor(8) as executor:
        runs = [executor.submit(process.sample, **SHORT, layout=layout) for layout in layouts]
        others = [executor.submit(plain.sample, **SHORT) for _ in range(3)]
    for layout, run in zip(layouts, runs, strict=True):
        assert_same(run.result(), alone[layout], DRAWN)
    for run in others:
        assert_same(run.result(), untouched, DRAWN)


def test_other_runs_end_meanwhile(process, plain, alone):
    """By their last draw, by an error, by a signal."""
    state = adaptation_of(plain.sample(**SHORT))
    broken = state._replace(position=np.full_like(state.position, 1e200))  # of density zero
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(process.sample, **SHORT, layout=ONE)
        plain.sample(**SHORT)
        with pytest.raises(SamplingError, match="Chain 0 cannot start"):
            plain.sample(**SHORT | {"tune": 0, "random_seed": 2}, adaptation_state=broken)
        threading.Timer(0.7, signal.raise_signal, (signal.SIGINT,)).start()
        assert plain.sample(**SHORT | {"draws": 2_000_000}).attrs["stopped_by"] == "SIGINT"
        assert_same(run.result(), alone[ONE], DRAWN)
