"""What this process may use of the machine: CPUs, cores, quota, grant, memory, and how many threads should compute.

CPUs are those in the affinity and the cpuset that are online. Threads that compute at the same time should be no
more than physical cores, than the cgroup's quota rounded up, and than what the batch scheduler granted. Where
sources disagree, the tightest one holds, so a scheduler that says less than the affinity wins.
"""

import hashlib
import json
import math
import os
import platform
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from nutmill.layout.machine.cgroup import Cgroups, Limit
from nutmill.layout.machine.cores import Cache, Groups, caches, cores, fast_cores, numa_nodes
from nutmill.layout.machine.scheduler import Grant, grant
from nutmill.layout.machine.system_files import Machine, Reading
from nutmill.units import ranges

__all__ = ["Cache", "Reading", "Topology", "topology"]

_ONLINE = "/sys/devices/system/cpu/online"


@dataclass(frozen=True)
class Topology:
    """What this process may use of the machine."""

    cpus: tuple[int, ...]  # logical CPUs that this process may run on: online, in the cpuset and in the affinity
    cores: Groups  # physical cores with a usable CPU, each with its usable SMT siblings
    numa_nodes: Groups  # usable CPUs by NUMA node; one node where there is no NUMA
    # How many threads should compute at the same time, at least 1: the least of physical cores, quota rounded up and
    # grant.
    n_cores: int
    bound_by: str  # what set `n_cores`, with the place where it was read
    quota: float | None  # CPUs' worth of time that the cgroups grant; None without a limit
    scheduler: str | None  # ``"slurm"``, ``"pbs"``, ``"lsf"`` or ``"sge"`` in a job of theirs
    scheduler_cpus: int | None  # CPUs that it granted this process
    fast_cores: Groups  # the performance cores of a hybrid CPU; equal to `cores` on others
    caches: tuple[Cache, ...]  # caches for data that usable CPUs reach
    memory_bytes: int | None  # the machine's memory, or the cgroups' limit where that is less
    cpu_model: str
    readings: tuple[Reading, ...]  # every fact with its place, also what could not be read

    def fingerprint(self) -> str:
        """Give 16 hex digits of what a timing depends on.

        Not which CPUs they are: two jobs that hold like parts of like nodes have the same fingerprint.
        """
        node_of = {cpu: node for node, cpus in enumerate(self.numa_nodes) for cpu in cpus}
        nodes: dict[int | None, list[int]] = {}
        for core in self.cores:
            nodes.setdefault(node_of.get(core[0]), []).append(len(core))
        shape = sorted(sorted(siblings) for siblings in nodes.values())
        # Slow cores alone differ from fast cores alone by their caches only.
        sizes = sorted({(cache.level, cache.size_bytes) for cache in self.caches})
        facts = [self.cpu_model, shape, len(self.fast_cores), sizes, self.quota, self.scheduler_cpus]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def as_dict(self) -> dict:
        """Give all fields and the fingerprint as plain values for JSON."""
        fields = asdict(self)
        fields["caches"] = [cache._asdict() for cache in self.caches]
        fields["readings"] = [reading._asdict() for reading in self.readings]
        return {"fingerprint": self.fingerprint(), **fields}


def topology(
    root: str | Path = "/", environ: Mapping[str, str] | None = None, affinity: Collection[int] | None = None
) -> Topology:
    """Read what this process may use of the machine; what cannot be read is missing, and nothing raises.

    The `root` ``/`` is this machine; any other folder is a record of one, with its files below ``proc`` and ``sys``.
    `environ` has the scheduler's variables, by default ``os.environ``, or the ``proc/self/environ`` of a record.
    `affinity` is that of the calling thread, or the ``Cpus_allowed_list`` of the record's ``proc/self/status``.
    """
    machine = Machine(root, environ, affinity)
    groups, granted = Cgroups(machine), grant(machine)
    model, quota = _cpu_model(machine), groups.quota()
    online = _online(machine)
    steps = _narrowed(machine, online, groups)
    cpus = steps[-1].cpus
    every_core = cores(machine, online.cpus)
    usable_cores = _usable(every_core, cpus)
    n_cores, bound_by = _bound(every_core, steps, quota, granted)
    return Topology(
        cpus=tuple(sorted(cpus)),
        cores=usable_cores,
        numa_nodes=numa_nodes(machine, cpus),
        n_cores=n_cores,
        bound_by=bound_by,
        quota=quota.value if quota else None,
        scheduler=granted.scheduler if granted else None,
        scheduler_cpus=granted.cpus if granted else None,
        fast_cores=fast_cores(machine, usable_cores),
        caches=caches(machine, cpus),
        memory_bytes=_memory_bytes(machine, groups.memory_bytes()),
        cpu_model=model,
        readings=tuple(machine.readings),
    )


class _Step(NamedTuple):
    """The CPUs that are left after one more constraint, and its name and place."""

    cpus: frozenset[int]
    name: str
    source: str


def _online(machine: Machine) -> _Step:
    """Give the machine's CPUs: online, or in the affinity, or as many as the standard library counts."""
    cpus = machine.cpus("online CPUs", _ONLINE)
    if cpus:
        machine.note("online CPUs", ranges(sorted(cpus)), _ONLINE)
        return _Step(cpus, "online", _ONLINE)
    if machine.affinity:
        machine.note("online CPUs", None, f"{_ONLINE} is not there: those of the affinity count")
        return _Step(machine.affinity, "online", machine.affinity_source)
    n_cpus, source = (os.cpu_count() or 1, "os.cpu_count") if machine.is_this_one else (1, "nothing tells CPUs")
    machine.note("online CPUs", None, f"{_ONLINE} is not there: {n_cpus} by {source}")
    return _Step(frozenset(range(n_cpus)), "online", source)


def _narrowed(machine: Machine, online: _Step, groups: Cgroups) -> list[_Step]:
    """Narrow the CPUs by cpuset, then by affinity; a constraint that would leave none is noted and ignored."""
    steps, cpuset = [online], groups.cpuset()
    if machine.affinity is None:
        machine.note("affinity", None, f"{machine.affinity_source} does not tell")
    else:
        machine.note("affinity", ranges(sorted(machine.affinity)), machine.affinity_source)
    constraints = [("cpuset", *cpuset)] if cpuset else []
    constraints += [("affinity", machine.affinity, machine.affinity_source)] if machine.affinity is not None else []
    for name, cpus, source in constraints:
        left = steps[-1].cpus & cpus
        if left:
            steps.append(_Step(left, name, source))
        else:
            machine.note(name, None, f"{source} leaves none of CPUs {ranges(sorted(steps[-1].cpus))}: ignored")
    return steps


def _usable(every_core: Groups, cpus: frozenset[int]) -> Groups:
    usable = (tuple(cpu for cpu in core if cpu in cpus) for core in every_core)
    return tuple(core for core in usable if core)


def _bound(every_core: Groups, steps: list[_Step], quota: Limit | None, granted: Grant | None) -> tuple[int, str]:
    """Find the tightest limit on threads that compute; of equals the one that is named first here."""
    online, *narrower = steps
    limits = [(len(every_core), f"all physical cores of the machine ({online.source})")]
    if granted and granted.cpus is not None:
        limits.append((granted.cpus, f"{granted.cpus} CPUs granted by {granted.scheduler} ({granted.source})"))
    if quota:
        limits.append((math.ceil(quota.value), f"a quota of {quota.value:g} CPUs ({quota.source})"))
    for step in narrower:
        n_cores = len(_usable(every_core, step.cpus))
        limits.append((n_cores, f"the physical cores of {step.name} {ranges(sorted(step.cpus))} ({step.source})"))
    return min(limits, key=lambda limit: limit[0])


def _memory_bytes(machine: Machine, limit: Limit | None) -> int | None:
    source, total = "/proc/meminfo", None
    for line in (machine.text(source) or "").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "MemTotal:" and words[1].isdecimal():
            total = int(words[1]) * 1024
    if total is None and machine.is_this_one and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        source, total = "os.sysconf", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    machine.note("memory", total, source if total else f"{source} does not tell")
    return min((int(value) for value in (total, limit and limit.value) if value), default=None)


def _cpu_model(machine: Machine) -> str:
    # The first processor is enough: the kernel measures frequencies while it writes the others.
    fields: dict[str, str] = {}
    for line in (machine.text("/proc/cpuinfo", most_bytes=4096) or "").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    model = next((fields[key] for key in ("model name", "cpu model", "cpu", "Model") if fields.get(key)), None)
    if model is None and "CPU part" in fields:
        model = f"Arm {fields.get('CPU implementer', '')} {fields['CPU part']}"
    source = "/proc/cpuinfo" if model else "/proc/cpuinfo does not tell"
    if model is None and machine.is_this_one:
        source, model = "platform", platform.processor() or platform.machine()
    machine.note("CPU model", model or None, source)
    return model or "unknown"
