"""Topology against recorded machines: what each offers, what bound it, and where it says that from."""

import json

import pytest

from nutmill.layout.machine.system_files import cpus_from_text
from nutmill.layout.machine.topology import Cache, topology
from nutmill.layout.machine.words import lines
from nutmill.units import ranges

MACHINES = ("laptop", "two_sockets", "slurm_job", "container_v2", "container_v1", "hybrid", "cloud_vm")
GIB, KIB = 1 << 30, 1 << 10


def sources(found, name):
    return [reading.source for reading in found.readings if reading.name == name]


def test_a_laptop_may_use_all_its_cores(recorded):
    found = topology(recorded("laptop"))
    assert found.cpus == tuple(range(8))
    assert found.cores == ((0, 4), (1, 5), (2, 6), (3, 7)) == found.fast_cores
    assert found.numa_nodes == (tuple(range(8)),)
    assert (found.n_cores, found.quota, found.scheduler, found.scheduler_cpus) == (4, None, None, None)
    assert found.bound_by == "all physical cores of the machine (/sys/devices/system/cpu/online)"
    assert found.memory_bytes == 16283652 * KIB
    assert found.cpu_model == "Intel(R) Core(TM) i7-8665U CPU @ 1.90GHz"
    first_level = [Cache(1, 32 * KIB, core) for core in found.cores]
    assert found.caches == (*first_level, Cache(3, 8192 * KIB, tuple(range(8))))


def test_two_sockets_are_two_numa_nodes(recorded):
    found = topology(recorded("two_sockets"))
    assert (len(found.cpus), len(found.cores), found.n_cores) == (128, 64, 64)
    assert found.cores[1] == (1, 65)
    assert found.numa_nodes == ((*range(32), *range(64, 96)), (*range(32, 64), *range(96, 128)))
    assert len(found.caches) == 16
    assert found.caches[1] == Cache(3, 32768 * KIB, (4, 5, 6, 7, 68, 69, 70, 71))
    assert found.quota is None
    assert found.memory_bytes == 527735404 * KIB
    assert sources(found, "memory limit") == ["no limit in /sys/fs/cgroup/memory or above"]


def test_slurm_job_that_is_not_bound(recorded):
    found = topology(recorded("slurm_job"))
    assert len(found.cpus) == 128
    assert (found.n_cores, found.scheduler, found.scheduler_cpus) == (8, "slurm", 8)
    assert found.bound_by == "8 CPUs granted by slurm (SLURM_CPUS_PER_TASK)"
    assert found.memory_bytes == 32 * GIB
    assert sources(found, "memory limit") == ["/sys/fs/cgroup/memory/slurm/uid_1000/job_4711/memory.limit_in_bytes"]


def test_slurm_job_that_is_bound_to_siblings(recorded):
    found = topology(recorded("slurm_job"), affinity={0, 1, 2, 3, 64, 65, 66, 67})
    assert found.cores == ((0, 64), (1, 65), (2, 66), (3, 67))
    assert found.n_cores == 4
    assert found.bound_by == "the physical cores of affinity 0-3,64-67 (argument)"
    assert found.numa_nodes == ((0, 1, 2, 3, 64, 65, 66, 67),)
    assert found.caches == (Cache(3, 32768 * KIB, found.cpus),)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("container_v2", "/sys/fs/cgroup/cpu.max"),
        ("container_v1", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"),
    ],
)
def test_a_container_is_bound_by_its_quota(recorded, name, source):
    found = topology(recorded(name))
    assert (len(found.cores), found.quota, found.n_cores) == (4, 1.5, 2)
    assert found.bound_by == f"a quota of 1.5 CPUs ({source})"
    assert found.memory_bytes == 2 * GIB


def test_a_hybrid_laptop_computes_on_its_fast_cores(recorded):
    found = topology(recorded("hybrid"))
    assert len(found.cores) == found.n_cores == 12
    assert found.fast_cores == ((0, 1), (2, 3), (4, 5), (6, 7))
    assert sources(found, "fast cores") == ["/sys/devices/cpu_core/cpus"]
    assert [cache.cpus for cache in found.caches if cache.size_bytes == 2048 * KIB] == [
        (8, 9, 10, 11),
        (12, 13, 14, 15),
    ]


TYPES = "/sys/devices/system/cpu/types"
KIND_IS_UNKNOWN = {"/sys/devices/cpu_core": None, "/sys/devices/cpu_atom": None}


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({}, "/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq"),
        (
            {f"{TYPES}/intel_core_0/cpulist": "0-7", f"{TYPES}/intel_atom_0/cpulist": "8-15"},
            f"{TYPES}/intel_core_0/cpulist",
        ),
        (
            {f"/sys/devices/system/cpu/cpu{n}/cpu_capacity": "1024" if n < 8 else "446" for n in range(16)},
            "/sys/devices/system/cpu/cpu*/cpu_capacity",
        ),
    ],
    ids=["frequencies", "types", "capacities"],
)
def test_hybrid_by_other_files(recorded, changes, source):
    found = topology(recorded("hybrid", KIND_IS_UNKNOWN | changes))
    assert found.fast_cores == ((0, 1), (2, 3), (4, 5), (6, 7))
    assert sources(found, "fast cores") == [source]


def test_favoured_cores_are_no_hybrid(recorded):
    favoured = {"/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "5000000"}
    found = topology(recorded("laptop", favoured))
    assert found.fast_cores == found.cores


def test_slow_cores_alone_are_all_that_there_is(recorded):
    found = topology(recorded("hybrid"), affinity=range(8, 16))
    assert found.fast_cores == found.cores == tuple((cpu,) for cpu in range(8, 16))


def test_cloud_vm_without_numa_and_siblings(recorded):
    found = topology(recorded("cloud_vm"))
    assert found.cores == ((0, 1), (2, 3))
    assert found.numa_nodes == ((0, 1, 2, 3),)
    assert (found.n_cores, found.quota, found.caches) == (2, None, ())
    assert sources(found, "NUMA nodes") == ["/sys/devices/system/node lists no CPUs: all count as one node"]
    assert sources(found, "quota") == ["no cgroup for cpu is mounted"]
    assert sources(found, "physical cores") == ["/proc/cpuinfo, physical id and core id"]


def test_arm_has_a_model_too(recorded):
    cpuinfo = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    assert topology(recorded("laptop", {"/proc/cpuinfo": cpuinfo})).cpu_model == "Arm 0x41 0xd40"


def test_what_is_offline_is_not_usable(recorded):
    found = topology(recorded("laptop", {"/sys/devices/system/cpu/online": "0-3"}))
    assert found.cores == ((0,), (1,), (2,), (3,))


def test_a_part_of_the_machine_keeps_its_siblings_and_nodes(recorded):
    found = topology(recorded("two_sockets"), affinity={31, 32, 95})
    assert found.cores == ((31, 95), (32,))
    assert found.numa_nodes == ((31, 95), (32,))
    assert found.bound_by == "the physical cores of affinity 31-32,95 (argument)"


def test_fingerprint_is_of_what_a_timing_depends_on(recorded):
    root, job = recorded("two_sockets"), {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "8"}
    node = topology(root).fingerprint()
    assert len(node) == 16
    assert int(node, 16) > 0
    left, right = topology(root, affinity=range(8)), topology(root, affinity=range(40, 48))
    assert left.fingerprint() == right.fingerprint()
    others = [
        topology(root, affinity=[0, 1, 2, 3, 64, 65, 66, 67]),
        topology(root, affinity=[*range(4), *range(32, 36)]),
        topology(root, environ=job),
        topology(recorded("container_v1")),
        topology(recorded("container_v1", {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1"})),
        topology(recorded("cloud_vm")),
        topology(recorded("cloud_vm", {"/proc/cpuinfo": "model name\t: another"})),
    ]
    assert len({node, left.fingerprint(), *(other.fingerprint() for other in others)}) == 2 + len(others)


def test_fingerprint_tells_kinds_of_cores(recorded):
    root = recorded("hybrid")
    kinds = [topology(root, affinity=cpus).fingerprint() for cpus in ([0, 2], [0, 8], [8, 9])]
    assert len(set(kinds)) == 3
    assert topology(root, affinity=[4, 7]).fingerprint() == kinds[0]
    without_caches = recorded("hybrid", {f"/sys/devices/system/cpu/cpu{cpu}/cache": None for cpu in (0, 2, 8)})
    kinds = [topology(without_caches, affinity=cpus).fingerprint() for cpus in ([0, 2], [0, 8])]
    assert len(set(kinds)) == 2


@pytest.mark.parametrize("name", MACHINES)
def test_is_ready_for_json_and_for_people(recorded, name):
    found = topology(recorded(name))
    fields = json.loads(json.dumps(found.as_dict()))
    assert fields["n_cores"] == found.n_cores
    assert fields["fingerprint"] == found.fingerprint()
    assert fields["cores"] == [list(core) for core in found.cores]
    assert [reading["name"] for reading in fields["readings"]] == [reading.name for reading in found.readings]
    described = lines(found)
    assert described[0] == ("cores to compute with", str(found.n_cores), found.bound_by)
    for what, value, where in described:
        assert what, value
        assert where, f"{what} has no source"


def test_lines_of_a_container(recorded):
    described = {what: (value, where) for what, value, where in lines(topology(recorded("container_v2")))}
    assert described["physical cores"][0] == "4: 4 with 2 usable CPUs"
    assert described["quota"] == ("1.5 CPUs", "/sys/fs/cgroup/cpu.max")
    assert described["memory limit"] == ("2 GiB", "/sys/fs/cgroup/memory.max")
    assert described["memory"] == ("2 GiB", "/proc/meminfo")
    assert described["scheduler"] == ("none", "no variables of Slurm, PBS, LSF or SGE")
    assert described["caches"] == ("unknown", "/sys/devices/system/cpu/cpu*/cache is not there")


@pytest.mark.parametrize("text", ["", "0", "0-3", "0-3,8", "1,3,5-6"])
def test_lists_of_cpus_there_and_back(text):
    assert ranges(sorted(cpus_from_text(text))) == text


@pytest.mark.parametrize("text", ["-", "3-1", "a", "0-", "-1", "0x3", "99999999999", "0-99999999", "1 2"])
def test_what_is_no_list_of_cpus(text):
    with pytest.raises(ValueError, match="is no"):
        cpus_from_text(text)
