"""Runs that overlap in one process: the draws of each are those that it has alone, and the process is left as found."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pymc as pm
import pytest
from results import assert_same
from threadpoolctl import threadpool_info, threadpool_limits

from nutmill import Layout, SamplingError, adaptation_of, compile_model
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
    """A Gaussian process of so many points that its factors and products are made by all BLAS threads there are."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0.0, 5.0, 200))
    with pm.Model() as model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.Gamma("length_scale", 2.0, 1.0)))
        gp.marginal_likelihood("y", X=x[:, None], y=np.sin(x), sigma=pm.HalfNormal("noise", 1.0))
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
