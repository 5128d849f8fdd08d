"""Topology of the machine that runs the tests: real /proc and /sys, real affinity, a real cgroup quota."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nutmill.layout.machine.topology import topology
from nutmill.layout.machine.words import lines

LINUX = hasattr(os, "sched_getaffinity")
on_linux = pytest.mark.skipif(not LINUX, reason="the system has no affinity and no cgroups")

# Runs some preparation in a process of its own, and prints the topology that is seen after it.
CHILD = (
    "import json, os, sys; {}; from nutmill.layout.machine.topology import topology;"
    " print(json.dumps(topology().as_dict()))"
)


def seen_after(preparation):
    done = subprocess.run([sys.executable, "-c", CHILD.format(preparation)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_this_machine():
    found = topology()
    assert 1 <= found.n_cores <= len(found.cores) <= len(found.cpus) <= (os.cpu_count() or 1)
    assert sorted(cpu for core in found.cores for cpu in core) == list(found.cpus)
    assert sorted(cpu for node in found.numa_nodes for cpu in node) == list(found.cpus)
    assert found.fingerprint() == topology().fingerprint()
    assert found.bound_by
    assert all(where for _, _, where in lines(found))
    json.dumps(found.as_dict())


@on_linux
def test_facts_that_the_standard_library_knows_too():
    found = topology()
    assert set(found.cpus) == os.sched_getaffinity(0)
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    (total,) = (reading.value for reading in found.readings if reading.name == "memory")
    assert total == memory_bytes
    assert found.memory_bytes <= memory_bytes
    assert found.cpu_model != "unknown"


def test_takes_less_than_50_ms():
    times_s = []
    for _ in range(5):
        begin = time.perf_counter()
        topology()
        times_s.append(time.perf_counter() - begin)
    assert min(times_s) < 0.05


def test_leaves_no_trace_in_the_process():
    before = dict(os.environ), len(os.listdir("/proc/self/fd")) if LINUX else 0
    topology()
    assert (dict(os.environ), len(os.listdir("/proc/self/fd")) if LINUX else 0) == before


@on_linux
def test_affinity_of_a_process_is_seen():
    last = max(os.sched_getaffinity(0))
    found = seen_after(f"os.sched_setaffinity(0, [{last}])")
    assert found["cpus"] == [last]
    assert found["cores"] == [[last]]
    assert found["n_cores"] == 1
    assert ["affinity", str(last), "sched_getaffinity"] in [list(reading.values()) for reading in found["readings"]]


def test_scheduler_of_the_environment_is_seen(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    found = topology()
    assert (found.scheduler, found.scheduler_cpus, found.n_cores) == ("slurm", 1, 1)


@pytest.fixture
def group():
    """Give the folder of a new cgroup in which a quota can be set, and its parent's; both go away afterwards."""
    outer = Path(f"/sys/fs/cgroup/cpu/nutmill-test-{os.getpid()}")
    if not outer.parent.is_dir():
        outer = Path(f"/sys/fs/cgroup/nutmill-test-{os.getpid()}")
    try:
        outer.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    inner = outer / "inner"
    try:
        control = outer / "cgroup.subtree_control"
        if control.exists() and (outer / "cpu.max").exists():  # version 2 hands controllers on only when asked
            control.write_text("+cpu")
        inner.mkdir()
        if not any((outer / name).exists() for name in ("cpu.max", "cpu.cfs_quota_us")):
            pytest.skip(f"the cpu controller is not enabled in {outer.parent}")
        yield inner
    finally:
        for folder in (inner, outer):
            if folder.is_dir():
                folder.rmdir()


def set_quota(folder, cpus):
    """Set a quota; returns the file that holds it."""
    if (folder / "cpu.max").exists():
        (folder / "cpu.max").write_text(f"{round(cpus * 100000)} 100000")
        return folder / "cpu.max"
    (folder / "cpu.cfs_period_us").write_text("100000")
    (folder / "cpu.cfs_quota_us").write_text(str(round(cpus * 100000)))
    return folder / "cpu.cfs_quota_us"


def entering(folder):
    return f"open({str(folder / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"


@on_linux
@pytest.mark.parametrize("which", ["own", "parent"])
def test_a_real_quota_is_seen(group, which):
    path = set_quota(group if which == "own" else group.parent, 0.75)
    found = seen_after(entering(group))
    assert found["quota"] == 0.75
    assert found["n_cores"] == 1
    assert ["quota", 0.75, str(path)] in [list(reading.values()) for reading in found["readings"]]
    assert found["fingerprint"] != topology().fingerprint()
