"""Groups of chains on Dask: workers with and without nannies, killed ones, layouts that Dask knows nothing of."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import dask
import pytest
from apart import OPTIONS, assert_equals_local_run, in_background, long, sampling_process, short
from distributed import Client, LocalCluster
from many_models import effects, schools
from processes import environment
from same_results import assert_same
from workers import loaded_modules, n_models

from nutmill import Layout, SamplingError, sample_many, sample_numba
from nutmill.checkpoint.manifest import read_manifest, write_manifest

# Seconds of sampling: time to kill somebody.
LONG = {**OPTIONS, "draws": 1000}
HEAVY = {"pymc", "pytensor", "numba", "arviz", "xarray"}


@pytest.fixture(scope="module")
def client():
    """Connect to two processes of this machine, each with a nanny that starts another when it dies."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as connected,
    ):
        yield connected


@contextmanager
def without_nannies(n_workers):
    """Connect to processes that nobody starts again."""
    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0", protocol="tcp") as cluster:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
        command += ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", "/tmp"]
        workers = [subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) for _ in range(n_workers)]
        try:
            with Client(cluster) as connected:
                connected.wait_for_workers(n_workers, timeout=120)
                yield connected
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


def a_busy_worker(client) -> str:
    """Wait until a worker has begun to sample, and a moment longer; return its address."""
    while True:
        busy = [worker for worker, keys in client.processing().items() if any("run_task" in key for key in keys)]
        if busy:
            time.sleep(0.3)
            return busy[0]
        time.sleep(0.02)


def kill_a_busy_worker(client) -> None:
    """Kill a worker a moment after it has begun to sample."""
    pids = client.run(os.getpid)
    os.kill(pids[a_busy_worker(client)], signal.SIGKILL)


def interrupt(client) -> None:
    """Interrupt this process a moment after a worker has begun to sample: signals are watched for by then."""
    a_busy_worker(client)
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def long_reference():
    return sample_numba(long(), **LONG)


@pytest.mark.parametrize("options", [{}, {"cores": 4}], ids=["default", "cores"])
def test_dask_makes_the_draws_of_a_local_run(client, options):
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=client.get_executor(), **options))


def test_workers_load_nothing_heavy_and_unpack_a_model_once(client):
    for _ in range(2):
        sample_numba(short(), **OPTIONS, executor=client.get_executor())
    found = set.union(*client.run(loaded_modules, 0).values())
    assert "nutmill.run.driver" in found
    assert not found & HEAVY
    assert max(client.run(n_models).values()) == 1


def test_dask_makes_many_fits(client):
    """Their rows are those of threads, to the last bit, and workers need no PyMC."""
    options = {"draws": 40, "random_seed": 7, "progressbar": False}
    one = sample_many(schools(), effects(12), executor=client.get_executor(), **options)
    other = sample_many(schools(), effects(12), **options)
    for name in other.children:
        assert one[name].to_dataset().identical(other[name].to_dataset()), name
    assert not set.union(*client.run(loaded_modules, 0).values()) & {"pymc", "pytensor"}


def test_a_layout_holds_where_dask_has_set_one_blas_thread(client):
    assert set(client.run(os.getenv, "OMP_NUM_THREADS").values()) == {"1"}
    layout = Layout(1, 2, "openblas")
    result = sample_numba(short(), **OPTIONS, executor=client.get_executor(), layout=layout)
    workers = json.loads(result.attrs["cpu_layout"])["workers"]
    assert workers
    for effective in workers.values():
        assert [worker["blas_threads"] for worker in effective["workers"]] == [2]
        assert effective["notes"] == []
    assert_equals_local_run(result)


def test_groups_of_a_killed_worker_begin_anew(client, long_reference):
    killing = in_background(lambda: kill_a_busy_worker(client))
    result = sample_numba(long(), **LONG, executor=client.get_executor())
    killing()
    assert_same(result, long_reference)


def test_groups_of_a_killed_worker_go_on_from_their_checkpoints(client, long_reference, tmp_path):
    marked = []

    def kill():
        pid, part = sampling_process(tmp_path / "run")
        # What begins anew says so in the manifest.
        write_manifest(part, read_manifest(part) | {"created": "before the kill"})
        marked.append(part)
        os.kill(pid, signal.SIGKILL)

    killing = in_background(kill)
    result = sample_numba(long(), **LONG, executor=client.get_executor(), checkpoint=tmp_path / "run", every=0.05)
    killing()
    (part,) = marked
    assert json.loads((part / "manifest.json").read_text())["created"] == "before the kill"
    assert_same(result, long_reference)


def test_without_nannies_the_other_worker_goes_on(long_reference):
    with without_nannies(2) as connected:
        killing = in_background(lambda: kill_a_busy_worker(connected))
        result = sample_numba(long(), **LONG, executor=connected.get_executor())
        killing()
        assert len(connected.scheduler_info()["workers"]) == 1
    assert_same(result, long_reference)


def test_dask_gives_up_and_that_is_reported(tmp_path):
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as connected,
    ):
        path = tmp_path / "run"
        killing = in_background(lambda: os.kill(sampling_process(path)[0], signal.SIGKILL))
        with pytest.raises(SamplingError, match=r"\(KilledWorker: .*nutmill.resume\(") as raised:
            sample_numba(
                long(), **LONG | {"draws": 50_000}, executor=connected.get_executor(), checkpoint=path, every=0.05
            )
        killing()
    assert "\n" not in str(raised.value)


def test_interrupt_ends_groups_on_dask(client):
    compiled, executor = long(), client.get_executor()
    interrupted = in_background(lambda: interrupt(client))
    result = sample_numba(compiled, **LONG | {"draws": 1_000_000}, executor=executor)
    interrupted()
    assert result.attrs["stopped_by"] == "SIGINT"
    assert result.posterior.sizes["draw"] < 1_000_000
    # Workers are free again: nobody waits for what was called off.
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=client.get_executor()))
