"""A topology in words: what there is, how much, and where it was read or what bound it."""

from collections import Counter

from nutmill.layout.machine.topology import Cache, Topology
from nutmill.units import ranges, size


def lines(topology: Topology) -> list[tuple[str, str, str]]:
    """Describe a topology line by line: what, how much, and where that was read, or why it is not known."""
    nodes = ", ".join(ranges(sorted(node)) for node in topology.numa_nodes)
    is_hybrid = topology.fast_cores != topology.cores
    scheduler = f"{topology.scheduler}: {topology.scheduler_cpus or 'unknown'}" if topology.scheduler else "none"
    described = [
        ("CPU model", topology.cpu_model, "CPU model"),
        ("usable CPUs", f"{len(topology.cpus)}: {ranges(sorted(topology.cpus))}", "affinity"),
        ("physical cores", f"{len(topology.cores)}: {_siblings(topology)}", "physical cores"),
        ("fast cores", str(len(topology.fast_cores)) if is_hybrid else "all", "fast cores"),
        ("NUMA nodes", f"{len(topology.numa_nodes)}: {nodes}", "NUMA nodes"),
        ("caches", _caches(topology.caches) or "unknown", "caches"),
        ("cpuset", _value(topology, "cpuset"), "cpuset"),
        ("quota", "none" if topology.quota is None else f"{topology.quota:g} CPUs", "quota"),
        ("scheduler", scheduler, "scheduler"),
        ("memory", _bytes(topology.memory_bytes), "memory"),
        ("memory limit", _limit(topology), "memory limit"),
    ]
    first = ("cores to compute with", str(topology.n_cores), topology.bound_by)
    return [first, *((what, value, _sources(topology, name)) for what, value, name in described)]


def _siblings(topology: Topology) -> str:
    """Give ``8 with 2 usable CPUs`` and so on."""
    kinds = Counter(len(core) for core in topology.cores)
    return ", ".join(f"{n} with {cpus} usable CPU{'s' * (cpus > 1)}" for cpus, n in sorted(kinds.items()))


def _sources(topology: Topology, name: str) -> str:
    return "; ".join(reading.source for reading in topology.readings if reading.name == name)


def _value(topology: Topology, name: str) -> str:
    values = [reading.value for reading in topology.readings if reading.name == name and reading.value is not None]
    return str(values[-1]) if values else "none"


def _limit(topology: Topology) -> str:
    value = _value(topology, "memory limit")
    return "none" if value == "none" else _bytes(int(value))


def _caches(caches: tuple[Cache, ...]) -> str:
    """Give ``8 x L1 32 KiB`` and so on, caches of the same level and size together."""
    kinds = Counter((cache.level, cache.size_bytes) for cache in caches)
    return ", ".join(f"{n} x L{level} {size(n_bytes)}" for (level, n_bytes), n in sorted(kinds.items()))


def _bytes(n_bytes: int | None) -> str:
    return "unknown" if n_bytes is None else size(n_bytes)
