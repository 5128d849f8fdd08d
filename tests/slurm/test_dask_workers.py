"""Groups of chains on workers of Dask that a real Slurm starts as its jobs."""

import signal
import sys

import pytest
from apart import OPTIONS, assert_equals_local_run, in_background, long, sampling_process, short
from distributed import Client
from same_results import assert_same
from workers import job_and_process

import nutmill
from nutmill import sample_numba


@pytest.fixture(scope="module")
def slurm_cluster():
    """Import the class; Dask-jobqueue takes Ctrl-C from the process that imports it."""
    before = signal.getsignal(signal.SIGINT)
    from dask_jobqueue import SLURMCluster

    signal.signal(signal.SIGINT, before)
    return SLURMCluster


@pytest.fixture
def client(one_node, slurm_cluster, monkeypatch, tmp_path):
    """Connect to two workers, each a job of one core."""
    for name, value in one_node.environment.items():
        monkeypatch.setenv(name, value)
    with (
        slurm_cluster(
            cores=1,
            memory="1 GiB",
            walltime="00:05:00",
            job_directives_skip=["--mem"],  # this Slurm counts none
            python=sys.executable,
            scheduler_options={"host": "127.0.0.1", "dashboard_address": ":0"},
            local_directory=str(tmp_path),
            log_directory=str(tmp_path),
        ) as cluster,
        Client(cluster) as connected,
    ):
        cluster.scale(jobs=2)
        connected.wait_for_workers(2, timeout=120)
        yield connected


def test_jobs_of_slurm_make_the_draws_of_a_local_run(client, one_node, tmp_path):
    assert one_node.run("squeue", "--noheader", "--states=running", "--format=%j").split() == 2 * ["dask-worker"]
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=client.get_executor()))
    path = tmp_path / "run"
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=client.get_executor(), checkpoint=path))
    assert nutmill.status(path)["phase"] == "finished"


def test_the_groups_of_a_cancelled_job_go_on_in_another(client, one_node, tmp_path):
    jobs = {pid: job for job, pid in client.run(job_and_process).values()}
    options = {**OPTIONS, "draws": 1000}
    local, path = sample_numba(long(), **options), tmp_path / "run"

    def cancel():
        pid, _ = sampling_process(path)
        one_node.run("scancel", jobs[pid])

    cancelling = in_background(cancel)
    result = sample_numba(long(), **options, executor=client.get_executor(), checkpoint=path, every=0.05)
    cancelling()
    assert_same(result, local)
