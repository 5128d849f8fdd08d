"""Cgroups and schedulers: the tightest limit holds, wherever it stands."""

import pytest

from nutmill.layout.machine.topology import topology

SLICES = "/sys/fs/cgroup/user.slice/user-1000.slice"
CPU = "/sys/fs/cgroup/cpu,cpuacct"


def limited(recorded, name, changes=(), **arguments):
    """Give quota and where it was read."""
    found = topology(recorded(name, changes), **arguments)
    (source,) = (reading.source for reading in found.readings if reading.name == "quota")
    return found.quota, source


def test_quota_of_an_ancestor_binds(recorded):
    changes = {f"{SLICES}/cpu.max": "150000 50000", f"{SLICES}/user@1000.service/cpu.max": "400000 100000"}
    assert limited(recorded, "laptop", changes) == (3.0, f"{SLICES}/cpu.max")


def test_quota_of_the_own_group_binds(recorded):
    own = f"{SLICES}/user@1000.service/app.slice/cpu.max"
    changes = {f"{SLICES}/cpu.max": "200000 100000", own: "50000 100000"}
    assert limited(recorded, "laptop", changes) == (0.5, own)
    assert topology(recorded("laptop", changes)).n_cores == 1


def test_quota_of_an_ancestor_binds_in_version_1(recorded):
    changes = {
        "/proc/self/cgroup": "2:cpu,cpuacct:/a/b",
        f"{CPU}/a/cpu.cfs_quota_us": "250000",
        f"{CPU}/a/cpu.cfs_period_us": "100000",
        f"{CPU}/a/b/cpu.cfs_quota_us": "-1",
        f"{CPU}/a/b/cpu.cfs_period_us": "100000",
    }
    assert limited(recorded, "two_sockets", changes) == (2.5, f"{CPU}/a/cpu.cfs_quota_us")


def test_a_sibling_group_does_not_bind(recorded):
    changes = {"/sys/fs/cgroup/system.slice/cpu.max": "100000 100000"}
    assert limited(recorded, "laptop", changes)[0] is None


@pytest.mark.parametrize("path", ["/kubepods/besteffort/pod1/abc", "/../sibling", "/", ""])
def test_a_path_of_the_host_falls_back_to_the_mount(recorded, path):
    changes = {"/proc/self/cgroup": f"0::{path}", "/sys/fs/sibling/cpu.max": "10000 100000"}
    assert limited(recorded, "container_v2", changes) == (1.5, "/sys/fs/cgroup/cpu.max")


def test_a_group_below_the_mounted_one(recorded):
    changes = {
        "/proc/self/cgroup": "4:cpu,cpuacct:/docker/3fa1c9/inner",
        f"{CPU}/inner/cpu.cfs_quota_us": "50000",
        f"{CPU}/inner/cpu.cfs_period_us": "100000",
    }
    assert limited(recorded, "container_v1", changes) == (0.5, f"{CPU}/inner/cpu.cfs_quota_us")


def test_a_group_with_a_like_name_is_not_below_the_mounted_one(recorded):
    changes = {
        "/proc/self/cgroup": "4:cpu,cpuacct:/docker/3fa1c9b/inner",
        f"{CPU}/b/inner/cpu.cfs_quota_us": "50000",
        f"{CPU}/b/inner/cpu.cfs_period_us": "100000",
    }
    assert limited(recorded, "container_v1", changes)[0] == 1.5


@pytest.mark.parametrize("name", ["container_v1", "container_v2", "laptop"])
def test_the_usual_mounts_serve_where_none_are_listed(recorded, name):
    listed = topology(recorded(name))
    assert topology(recorded(name, {"/proc/self/mountinfo": None})).quota == listed.quota


def test_both_versions_side_by_side(recorded):
    changes = {
        "/proc/self/mountinfo": "1 1 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "2 1 0:2 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n",
        "/proc/self/cgroup": "1:cpu:/\n0::/x",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/uni fied/x/cpu.max": "300000 100000",
    }
    assert limited(recorded, "two_sockets", changes) == (3.0, "/sys/fs/cgroup/uni fied/x/cpu.max")


def test_a_quota_of_more_than_the_cores_does_not_bind(recorded):
    found = topology(recorded("laptop", {f"{SLICES}/cpu.max": "1600000 100000"}))
    assert (found.quota, found.n_cores) == (16.0, 4)
    assert found.bound_by.startswith("all physical cores")


def test_memory_limit_of_an_ancestor_binds(recorded):
    found = topology(recorded("laptop", {"/sys/fs/cgroup/user.slice/memory.max": "1000000"}))
    assert found.memory_bytes == 1000000


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("laptop", "/sys/fs/cgroup/user.slice/cpuset.cpus.effective"),
        ("two_sockets", "/sys/fs/cgroup/cpuset/cpuset.effective_cpus"),
    ],
)
def test_cpuset_binds(recorded, name, path):
    found = topology(recorded(name, {path: "1-2"}))
    assert found.cpus == (1, 2)
    assert found.bound_by == f"the physical cores of cpuset 1-2 ({path})"


def test_cpuset_of_version_1_without_effective_file(recorded):
    folder = "/sys/fs/cgroup/cpuset"
    changes = {f"{folder}/cpuset.effective_cpus": None, f"{folder}/cpuset.cpus": "0-7"}
    assert len(topology(recorded("two_sockets", changes)).cpus) == 8


SLURM = {"SLURM_JOB_ID": "1"}
STEP = SLURM | {"SLURM_STEP_ID": "0", "SLURM_CPUS_ON_NODE": "8"}
HOSTS = {"/spool/nodes": "node16 4 all.q\nnode17.cluster 2 all.q\n"}
NODES = {"/spool/nodes": "node16\nnode16\nnode17\nnode17\nnode17\n"}
ONE_NODE = {"/spool/nodes": "else.where\n" * 4}


@pytest.mark.parametrize(
    ("environ", "files", "granted"),
    [
        (SLURM | {"SLURM_CPUS_PER_TASK": "8", "SLURM_CPUS_ON_NODE": "64"}, {}, ("slurm", 8)),
        (SLURM | {"SLURM_CPUS_ON_NODE": "16"}, {}, ("slurm", 16)),
        # A batch script is alone in its step, whatever steps it will start.
        (SLURM | {"SLURM_CPUS_ON_NODE": "16", "SLURM_TASKS_PER_NODE": "4"}, {}, ("slurm", 16)),
        (STEP | {"SLURM_STEP_TASKS_PER_NODE": "1", "SLURM_TASKS_PER_NODE": "4"}, {}, ("slurm", 8)),
        (STEP | {"SLURM_STEP_TASKS_PER_NODE": "4"}, {}, ("slurm", 2)),
        (STEP | {"SLURM_STEP_TASKS_PER_NODE": "4(x2),2", "SLURM_NODEID": "2"}, {}, ("slurm", 4)),
        (STEP | {"SLURM_TASKS_PER_NODE": "16"}, {}, ("slurm", 1)),
        (STEP | {"SLURM_STEP_TASKS_PER_NODE": "?"}, {}, ("slurm", 8)),
        (SLURM | {"SLURM_CPUS_ON_NODE": "16", "OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, {}, ("slurm", 4)),
        (SLURM | {"SLURM_CPUS_PER_TASK": "many"}, {}, ("slurm", None)),
        (SLURM | {"SLURM_CPUS_PER_TASK": "0", "SLURM_CPUS_ON_NODE": "4"}, {}, ("slurm", 4)),
        ({"SLURM_CPUS_PER_TASK": "8"}, {}, (None, None)),
        ({"PBS_JOBID": "1", "NCPUS": "6"}, {}, ("pbs", 6)),
        ({"PBS_JOBID": "1", "PBS_NODEFILE": "/spool/nodes"}, NODES, ("pbs", 3)),
        ({"PBS_JOBID": "1", "PBS_NODEFILE": "/spool/nodes"}, ONE_NODE, ("pbs", 4)),
        ({"PBS_JOBID": "1", "PBS_NODEFILE": "/spool/nodes"}, {}, ("pbs", None)),
        ({"PBS_JOBID": "1", "PBS_NODEFILE": "/a\0b"}, {}, ("pbs", None)),
        ({"NCPUS": "6"}, {}, (None, None)),
        ({"LSB_JOBID": "1", "LSB_DJOB_NUMPROC": "12"}, {}, ("lsf", 12)),
        ({"LSB_DJOB_NUMPROC": "12", "LSB_MCPU_HOSTS": "node16 8 node17 4"}, {}, ("lsf", 4)),
        ({"LSB_DJOB_NUMPROC": "12", "LSB_MCPU_HOSTS": "a 8 b 4"}, {}, ("lsf", None)),
        ({"NSLOTS": "10"}, {}, ("sge", 10)),
        ({"NSLOTS": "6", "PE_HOSTFILE": "/spool/nodes"}, HOSTS, ("sge", 2)),
    ],
)
def test_grants(recorded, environ, files, granted):
    found = topology(recorded("two_sockets", files), environ=environ)
    assert (found.scheduler, found.scheduler_cpus) == granted
    assert found.n_cores == (granted[1] or 64)
    assert any(reading.name == "scheduler" for reading in found.readings)


def test_a_grant_of_more_than_the_cores_does_not_bind(recorded):
    found = topology(recorded("laptop"), environ=SLURM | {"SLURM_CPUS_PER_TASK": "8"})
    assert (found.n_cores, found.scheduler_cpus) == (4, 8)


def test_the_tightest_of_all_binds(recorded):
    job = SLURM | {"SLURM_CPUS_PER_TASK": "3"}
    assert topology(recorded("container_v2"), environ=job).n_cores == 2
    assert topology(recorded("container_v2"), environ=job, affinity=[0, 4]).n_cores == 1
    assert topology(recorded("container_v2", {"/sys/fs/cgroup/cpu.max": "max 100000"}), environ=job).n_cores == 3
