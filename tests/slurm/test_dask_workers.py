"""Groups of chains on workers of Dask that a real Slurm starts as its jobs."""

import sys

import pytest
from apart import OPTIONS, assert_equals_local_run, short
from dask_jobqueue import SLURMCluster
from distributed import Client

import nutmill


@pytest.fixture
def client(one_node, monkeypatch, tmp_path):
    """Connect to two workers, each a job of one core."""
    for name, value in one_node.environment.items():
        monkeypatch.setenv(name, value)
    options = {"cores": 1, "processes": 1, "memory": "1 GiB", "walltime": "00:05:00", "python": sys.executable}
    with (
        SLURMCluster(
            **options,
            job_cpu=1,
            interface=None,
            scheduler_options={"host": "127.0.0.1", "dashboard_address": ":0"},
            local_directory=str(tmp_path),
            log_directory=str(tmp_path),
            job_directives_skip=["--mem"],
        ) as cluster,
        Client(cluster) as connected,
    ):
        cluster.scale(jobs=2)
        connected.wait_for_workers(2, timeout=120)
        yield connected


def test_jobs_of_slurm_make_the_draws_of_a_local_run(client, one_node, tmp_path):
    assert one_node.run("squeue", "--noheader", "--states=running").count("dask-worker") == 2
    assert_equals_local_run(short().sample(**OPTIONS, executor=client.get_executor()))
    path = tmp_path / "run"
    assert_equals_local_run(short().sample(**OPTIONS, executor=client.get_executor(), checkpoint=path))
    assert nutmill.status(path)["phase"] == "finished"


def test_a_job_that_is_cancelled_is_sampled_by_the_other(client, one_node, tmp_path): ...
