"""Damaged and missing files: nothing raises, and a reading says what could not be read."""

import json
import random

import pytest

from nutmill.layout.machine.topology import topology
from nutmill.layout.machine.words import lines

GARBAGE = (b"", b"\xff\xfe\x00", b"-7", b"0", b"banana", b"9" * 5000, b": : :", b"1 2 3", b"7-3,,x", b"0-999999999")
MACHINES = ("two_sockets", "slurm_job", "container_v2", "container_v1", "hybrid", "cloud_vm")


def is_whole(found):
    """Check what must hold of any topology, whatever was read."""
    assert found.cpus
    assert sorted(cpu for core in found.cores for cpu in core) == list(found.cpus)
    assert sorted(cpu for node in found.numa_nodes for cpu in node) == list(found.cpus)
    assert set(found.fast_cores) <= set(found.cores)
    assert 1 <= found.n_cores <= len(found.cores)
    assert found.bound_by
    assert found.quota is None or found.quota > 0
    assert found.memory_bytes is None or found.memory_bytes > 0
    json.dumps(found.as_dict())
    return all(where for _, _, where in lines(found))


def test_an_empty_folder_is_one_cpu(tmp_path):
    found = topology(tmp_path)
    assert is_whole(found)
    assert (found.cpus, found.n_cores, found.memory_bytes, found.cpu_model) == ((0,), 1, None, "unknown")
    assert not any(reading.value for reading in found.readings)


def test_a_folder_that_is_not_there(tmp_path):
    assert topology(tmp_path / "nowhere").n_cores == 1


@pytest.mark.parametrize("name", MACHINES)
def test_any_file_may_be_garbage(recorded, name):
    root = recorded(name)
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    dice = random.Random(7)
    for path in dice.sample(paths, min(len(paths), 40)):
        content = path.read_bytes()
        for garbage in GARBAGE:
            path.write_bytes(garbage)
            assert is_whole(topology(root)), (path, garbage)
        path.write_bytes(content)


@pytest.mark.parametrize("name", MACHINES)
def test_all_files_may_be_garbage(recorded, name):
    root = recorded(name)
    dice = random.Random(11)
    for _ in range(10):
        for path in sorted(root.rglob("*")):
            if path.is_file():
                path.write_bytes(dice.choice(GARBAGE))
        assert is_whole(topology(root))


@pytest.mark.parametrize("name", MACHINES)
def test_any_file_may_be_missing_or_a_folder(recorded, name):
    root = recorded(name)
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    for path in random.Random(13).sample(paths, min(len(paths), 40)):
        content = path.read_bytes()
        path.unlink()
        assert is_whole(topology(root)), path
        path.mkdir()
        assert is_whole(topology(root)), path
        path.rmdir()
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "path", "content", "said"),
    [
        ("container_v2", "/sys/fs/cgroup/cpu.max", "a lot", ("quota", "/sys/fs/cgroup/cpu.max holds 'a lot'")),
        (
            "container_v1",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us",
            "?",
            ("quota", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us holds '?'"),
        ),
        (
            "laptop",
            "/sys/devices/system/cpu/online",
            "x-y",
            ("online CPUs", "/sys/devices/system/cpu/online holds 'x-y'"),
        ),
        ("laptop", "/proc/self/status", "Cpus_allowed_list:\tall", ("affinity", "/proc/self/status holds 'all'")),
        ("laptop", "/proc/self/status", None, ("affinity", "/proc/self/status does not tell")),
        ("laptop", "/proc/meminfo", None, ("memory", "/proc/meminfo does not tell")),
        ("laptop", "/proc/cpuinfo", None, ("CPU model", "/proc/cpuinfo does not tell")),
        (
            "container_v2",
            "/sys/fs/cgroup/memory.max",
            "2 GB",
            ("memory limit", "/sys/fs/cgroup/memory.max holds '2 GB'"),
        ),
    ],
)
def test_a_reading_says_what_could_not_be_read(recorded, name, path, content, said):
    readings = topology(recorded(name, {path: content})).readings
    assert (said[0], None, said[1]) in readings


def test_a_grant_that_cannot_be_read_is_said(recorded):
    environ = {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "8(x2)"}
    found = topology(recorded("laptop"), environ=environ)
    assert ("scheduler", None, "SLURM_CPUS_PER_TASK holds '8(x2)'") in found.readings
    assert ("scheduler", None, "no variable of slurm says how many") in found.readings


@pytest.mark.parametrize("affinity", [[], [100]])
def test_an_affinity_that_leaves_nothing_is_said_and_ignored(recorded, affinity):
    found = topology(recorded("laptop"), affinity=affinity)
    assert len(found.cpus) == 8
    assert ("affinity", None, "argument leaves none of CPUs 0-7: ignored") in found.readings


def test_without_online_cpus_the_affinity_counts(recorded):
    found = topology(recorded("laptop", {"/sys/devices/system/cpu/online": None}), affinity=[1, 2])
    assert found.cpus == (1, 2)
    assert found.n_cores == 2


def test_a_cpu_in_no_node_counts_to_a_node_of_the_rest(recorded):
    found = topology(recorded("laptop", {"/sys/devices/system/node/node0/cpulist": "0-5"}))
    assert found.numa_nodes == ((0, 1, 2, 3, 4, 5), (6, 7))
