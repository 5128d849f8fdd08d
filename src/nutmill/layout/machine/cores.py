"""How the CPUs of a machine hang together: cores and their siblings, NUMA nodes, caches, fast and slow cores."""

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

from nutmill.layout.machine.system_files import Machine
from nutmill.units import ranges

_CPU = "/sys/devices/system/cpu"
_NODE = "/sys/devices/system/node"
_CORES = "physical cores"

# Cores below this share of the fastest are the slow ones of a hybrid CPU. Performance cores differ among
# themselves too (favoured cores of Intel: 6 %; the cache die of an AMD X3D: 8 %; big and prime Arm cores: 22 %).
_FAST_CAPACITY, _FAST_FREQUENCY = 0.75, 0.85

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

Groups = tuple[tuple[int, ...], ...]


class Cache(NamedTuple):
    """One cache for data, and the usable CPUs that share it."""

    level: int
    size_bytes: int
    cpus: tuple[int, ...]


def cores(machine: Machine, cpus: Collection[int]) -> Groups:
    """Group CPUs into physical cores; where the machine does not tell, every CPU is one."""
    for file in ("core_cpus_list", "thread_siblings_list"):  # the second is its name in older kernels
        source = f"{_CPU}/cpu*/topology/{file}"
        groups = _partition(cpus, partial(_siblings, machine, file))
        if groups is not None:
            break
    else:
        source = "/proc/cpuinfo, physical id and core id"
        groups = _partition(cpus, _cpuinfo_siblings(machine).get)
    if groups is None:
        machine.note(_CORES, None, f"no file of {_CPU} or /proc/cpuinfo tells siblings: every CPU counts as a core")
        return tuple((cpu,) for cpu in sorted(cpus))
    machine.note(_CORES, len(groups), source)
    return groups


def _siblings(machine: Machine, file: str, cpu: int) -> frozenset[int] | None:
    return machine.cpus(_CORES, f"{_CPU}/cpu{cpu}/topology/{file}")


def _partition(cpus: Collection[int], siblings: Callable[[int], frozenset[int] | None]) -> Groups | None:
    """Split CPUs by what `siblings` says of each; None where it says nothing of the first."""
    left = set(cpus)
    groups: list[tuple[int, ...]] = []
    for cpu in sorted(cpus):
        if cpu in left:
            known = siblings(cpu)
            if known is None and not groups:
                return None
            # Damaged files may contradict each other: each CPU still has one place.
            group = ((known or frozenset()) & left) | {cpu}
            left -= group
            groups.append(tuple(sorted(group)))
    return tuple(groups)


def _cpuinfo_siblings(machine: Machine) -> dict[int, frozenset[int]]:
    places: dict[tuple[str, str], set[int]] = {}
    for stanza in (machine.text("/proc/cpuinfo") or "").split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (s.partition(":") for s in stanza.splitlines())}
        if fields.get("processor", "").isdecimal() and {"physical id", "core id"} <= fields.keys():
            places.setdefault((fields["physical id"], fields["core id"]), set()).add(int(fields["processor"]))
    return {cpu: frozenset(place) for place in places.values() for cpu in place}


def numa_nodes(machine: Machine, cpus: Collection[int]) -> Groups:
    """Group CPUs by NUMA node, nodes without usable CPUs left out; all in one where the machine does not tell."""
    left, nodes = set(cpus), []
    names = [name for name in machine.names(_NODE) if re.fullmatch("node[0-9]{1,6}", name)]
    for name in sorted(names, key=lambda name: int(name[4:])):
        node = (machine.cpus("NUMA nodes", f"{_NODE}/{name}/cpulist") or frozenset()) & left
        left -= node
        nodes += [tuple(sorted(node))] if node else []
    if not nodes:
        machine.note("NUMA nodes", None, f"{_NODE} lists no CPUs: all count as one node")
        return (tuple(sorted(cpus)),)
    if left:
        machine.note("NUMA nodes", None, f"{_NODE} has no node for CPUs {ranges(sorted(left))}: they count as one")
        nodes.append(tuple(sorted(left)))
    machine.note("NUMA nodes", len(nodes), f"{_NODE}/node*/cpulist")
    return tuple(nodes)


def caches(machine: Machine, cpus: Collection[int]) -> tuple[Cache, ...]:
    """Find the caches for data that usable CPUs reach, by level and first CPU."""
    found: list[Cache] = []
    seen: dict[str, set[int]] = {}  # by index: its CPUs whose cache has been read through a neighbour
    for cpu in sorted(cpus):
        for index in machine.names(f"{_CPU}/cpu{cpu}/cache"):
            if index.startswith("index") and cpu not in seen.setdefault(index, set()):
                folder = f"{_CPU}/cpu{cpu}/cache/{index}"
                shared = (machine.cpus("caches", f"{folder}/shared_cpu_list") or frozenset()) | {cpu}
                seen[index] |= shared
                found += _cache(machine, folder, tuple(sorted(shared & set(cpus))))
    note = (len(found), f"{_CPU}/cpu*/cache") if found else (None, f"{_CPU}/cpu*/cache is not there")
    machine.note("caches", *note)
    return tuple(sorted(found, key=lambda cache: (cache.level, cache.cpus)))


def _cache(machine: Machine, folder: str, cpus: tuple[int, ...]) -> list[Cache]:
    if machine.text(f"{folder}/type") == "Instruction":
        return []
    level, size = machine.number("caches", f"{folder}/level"), machine.text(f"{folder}/size")
    match = re.fullmatch("([1-9][0-9]{0,9})([KMG]?)", size or "")
    if level is None or match is None:
        machine.damaged("caches", f"{folder}/size", size or "")
        return []
    return [Cache(level, int(match[1]) * _UNITS[match[2]], cpus)]


def fast_cores(machine: Machine, every_core: Groups) -> Groups:
    """Pick the performance cores of a hybrid CPU; all cores of another one."""
    for fast, source in (_by_kind(machine), _by_capacity(machine, every_core), _by_frequency(machine, every_core)):
        chosen = tuple(core for core in every_core if core[0] in fast)
        if chosen and len(chosen) < len(every_core):
            machine.note("fast cores", len(chosen), source)
            return chosen
    machine.note("fast cores", None, f"no slow cores by {_CPU}/types, cpu_capacity or cpuinfo_max_freq")
    return every_core


def _by_kind(machine: Machine) -> tuple[frozenset[int], str]:
    """Read Intel's own list: a counter device for each kind of core, or the folder `types` of some kernels."""
    types = [f"{_CPU}/types/{name}/cpulist" for name in machine.names(f"{_CPU}/types") if "_core" in name]
    for path in ("/sys/devices/cpu_core/cpus", *types):
        cpus = machine.cpus("fast cores", path)
        if cpus:
            return cpus, path
    return frozenset(), ""


def _by_capacity(machine: Machine, every_core: Groups) -> tuple[frozenset[int], str]:
    fast = _fastest(machine, every_core, "cpu_capacity", _FAST_CAPACITY)
    return fast, f"{_CPU}/cpu*/cpu_capacity"


def _by_frequency(machine: Machine, every_core: Groups) -> tuple[frozenset[int], str]:
    fast = _fastest(machine, every_core, "cpufreq/cpuinfo_max_freq", _FAST_FREQUENCY)
    return fast, f"{_CPU}/cpu*/cpufreq/cpuinfo_max_freq"


def _fastest(machine: Machine, every_core: Groups, file: str, share: float) -> frozenset[int]:
    """Give the first CPUs of cores that come near the fastest; empty where one of them does not tell."""
    speeds = {}
    for first, *_ in every_core:
        speed = machine.number("fast cores", f"{_CPU}/cpu{first}/{file}")
        if speed is None or speed <= 0:
            return frozenset()
        speeds[first] = speed
    most = max(speeds.values(), default=0)
    return frozenset(cpu for cpu, speed in speeds.items() if speed >= share * most)
