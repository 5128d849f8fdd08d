"""Draws depend on how many threads BLAS has while they are made, and on no other run, setting or number of threads."""

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import large_factors
import numpy as np
import pymc as pm
import pytest
from layout.fortran import in_thread
from same_results import assert_same
from threadpoolctl import threadpool_limits

import nutmill
from nutmill import Layout, SamplingError, adaptation_of, compile_model, sample_numba
from nutmill.layout.applied import apply_layout
from nutmill.layout.blas.find import scipy_blas
from nutmill.sampling import steering
from nutmill.sampling.kept_model import identity

QUIET = {"progressbar": False, "compute_convergence_checks": False}
SHORT = {"draws": 4, "tune": 6, "chains": 1, "max_treedepth": 2, "random_seed": 1, **QUIET}
DRAWN = ("posterior", "sample_stats")
ONE, TWO = Layout(1, 1), Layout(1, 2)

pytestmark = pytest.mark.usefixtures("process_as_it_was")


@pytest.fixture(scope="module")
def process():
    return large_factors.compiled()


@pytest.fixture(scope="module")
def plain():
    """A model that calls no BLAS."""
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0, shape=5)
    return compile_model(model)


@pytest.fixture(scope="module")
def alone(process):
    """What the process draws with one and with two BLAS threads when nothing else runs."""
    return {layout: sample_numba(process, **SHORT, layout=layout) for layout in (ONE, TWO)}


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
            assert_same(sample_numba(again, **SHORT, layout=ONE), alone[ONE], DRAWN)
            reported = again.expand(np.ones((3, again.n_dim)))["root"]
            prepared = [array.tobytes() for array in again.binding.record.arrays]
            found.append((prepared, reported.tobytes(), identity(again, "")["model"]))
    assert found[0] == found[1]


def test_a_run_that_goes_on_keeps_its_threads(process, alone, tmp_path, caplog):
    path = tmp_path / "run"
    sample_numba(process, **SHORT | {"draws": 2}, layout=TWO, checkpoint=path)
    once_more = nutmill.resume(path, process, draws=4, **QUIET)
    assert_same(once_more, alone[TWO], DRAWN)
    told = json.loads(once_more.attrs["cpu_layout"])
    assert (told["source"], told["requested"]["blas_threads"], once_more.attrs["blas_threads"]) == ("kept", 2, 2)
    assert told["notes"] == [] and not caplog.records
    other = nutmill.resume(path, process, draws=5, layout=ONE, **QUIET)
    assert (
        "was begun with 2 BLAS threads a chain and goes on with 1 BLAS thread a chain, as layout= says" in caplog.text
    )
    assert other.attrs["blas_threads"] == 1
    later = nutmill.resume(path, process, cores=1, **QUIET)
    assert later.attrs["blas_threads"] == 1
    (note,) = json.loads(later.attrs["cpu_layout"])["notes"]
    assert note == "The draws were made with different numbers of BLAS threads: 2 of SciPy then 1 of SciPy."


def test_an_executor_keeps_them_too(process, alone, tmp_path):
    path = tmp_path / "run"
    with ThreadPoolExecutor(1) as executor:
        first = sample_numba(process, **SHORT | {"draws": 2}, layout=TWO, checkpoint=path, executor=executor)
        assert first.attrs["blas_threads"] == 2
        assert_same(nutmill.resume(path, process, draws=4, executor=executor, **QUIET), alone[TWO], DRAWN)


def test_groups_that_wait_for_another_run_end_with_their_own(process):
    with apply_layout(TWO), ThreadPoolExecutor(1) as executor:
        waited = sample_numba(process, **SHORT, layout=ONE, executor=executor, max_time=0.5)
    assert waited.attrs["stopped_by"] == "max_time" and waited.posterior.sizes["draw"] == 0


def test_parts_that_were_sampled_with_different_threads(process, tmp_path, caplog):
    small = process.with_data(x=np.eye(3), y=[1.0, 0.0, 2.0])
    options = SHORT | {"chains": 8}
    for first, layout in ((0, ONE), (4, TWO)):
        chain_ids = range(first, first + 4)
        sample_numba(small, **options, chain_ids=chain_ids, layout=layout, checkpoint=tmp_path / str(first))
    merged = nutmill.merge([tmp_path / "0", tmp_path / "4"], small, compute_convergence_checks=False)
    assert "different numbers of BLAS threads: 1 of SciPy then 2 of SciPy." in caplog.text
    assert "blas_threads" not in merged.attrs
    assert len(json.loads(merged.attrs["cpu_layout"])["notes"]) == 1
    alike = nutmill.merge([tmp_path / "4"], small, partial=True, compute_convergence_checks=False)
    assert alike.attrs["blas_threads"] == 2


def test_eight_at_once(process, plain, alone):
    layouts = [ONE, TWO, ONE, ONE, ONE]
    untouched = sample_numba(plain, **SHORT)
    with ThreadPoolExecutor(8) as executor:
        runs = [executor.submit(sample_numba, process, **SHORT, layout=layout) for layout in layouts]
        others = [executor.submit(sample_numba, plain, **SHORT) for _ in range(3)]
    for layout, run in zip(layouts, runs, strict=True):
        assert_same(run.result(), alone[layout], DRAWN)
    for run in others:
        assert_same(run.result(), untouched, DRAWN)


def test_a_model_that_calls_no_blas_neither_waits_nor_is_waited_for(plain, caplog):
    untouched = sample_numba(plain, **SHORT)
    with apply_layout(Layout(1, 3)):
        beside = in_thread(lambda: sample_numba(plain, **SHORT))
        assert_same(beside, untouched, DRAWN)
        assert scipy_blas().get_threads() == 3
    assert (beside.attrs["blas_threads"], json.loads(beside.attrs["cpu_layout"])["notes"]) == (1, [])
    assert not caplog.records


def test_other_runs_end_meanwhile(process, plain, alone):
    """By their last draw, by an error, by a signal."""
    state = adaptation_of(sample_numba(plain, **SHORT))
    broken = state._replace(position=np.full_like(state.position, 1e200))  # of density zero
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(sample_numba, process, **SHORT, layout=ONE)
        sample_numba(plain, **SHORT)
        with pytest.raises(SamplingError, match="Chain 0 cannot start"):
            sample_numba(plain, **SHORT | {"tune": 0, "random_seed": 2}, adaptation_state=broken)
        threading.Timer(0.7, signal.raise_signal, (signal.SIGINT,)).start()
        assert sample_numba(plain, **SHORT | {"draws": 8_000_000}).attrs["stopped_by"] == "SIGINT"
        assert_same(run.result(), alone[ONE], DRAWN)


def test_a_look_at_draws_leaves_chains_the_threads_that_they_have(process, alone, monkeypatch):
    """It neither takes one away, by which later draws would differ, nor waits for the end of the run."""
    monkeypatch.setattr(steering, "_INTERVAL_S", 0.0)
    seen = []
    result = sample_numba(process, **SHORT, layout=TWO, callback=lambda snapshot: seen.append(snapshot.draws()))
    assert_same(result, alone[TWO], DRAWN)
    assert len(seen) > 1
    run = sample_numba(process, **SHORT | {"draws": 2000}, layout=TWO, blocking=False)
    while not run.status()["draws"]:
        run.draws()  # also before chains begin
        time.sleep(0.1)
    assert run.status()["is_running"]
    assert run.stop().attrs["blas_threads"] == 2
