"""Which CPUs each worker of a layout gets, from the layout and the topology alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from nutmill.layout.machine.topology import Cache, Topology

if TYPE_CHECKING:
    from nutmill.layout.layout import Layout

_Groups = tuple[tuple[int, ...], ...]


def places(layout: Layout, topology: Topology) -> _Groups:
    """Give the CPUs of each worker.

    Before any CPU is shared each physical core has one, fast cores first; then come SMT siblings; then CPUs get
    a second worker. Within that, a worker's CPUs share a last-level cache if they can, else a NUMA node.

    Parameters
    ----------
    layout : Layout
        With placement ``"compact"`` workers fill one cache and one node after another; with ``"spread"`` each
        goes to the node, and there to the cache, that has the fewest workers; with ``"free"`` none has a place.
    topology : Topology

    Returns
    -------
    tuple of tuples of int
        `layout.chains_at_once` times `layout.blas_threads` CPUs, or all where there are fewer; empty for ``"free"``.
    """
    if layout.placement == "free":
        return ((),) * layout.chains_at_once
    ground = _Ground(topology.cores, topology.fast_cores, topology.numa_nodes, topology.caches)
    return _dealt(ground, layout.chains_at_once, layout.blas_threads, layout.placement == "spread")


class _Ground(NamedTuple):
    """What of a topology decides on places."""

    cores: _Groups
    fast_cores: _Groups
    numa_nodes: _Groups
    caches: tuple[Cache, ...]


@lru_cache(maxsize=32)  # dealing for 128 workers takes 15 ms, and a layout may be applied again and again
def _dealt(ground: _Ground, n_workers: int, n_threads: int, spread: bool) -> _Groups:
    deal = _Deal(ground, spread=spread)
    return tuple(deal.next(n_threads) for _ in range(n_workers))


class _Deal:
    """CPUs that are dealt to one worker after another."""

    def __init__(self, ground: _Ground, *, spread: bool):
        rank, fast = {}, set(ground.fast_cores)
        for core in ground.cores:
            rank |= {cpu: (sibling, core not in fast) for sibling, cpu in enumerate(core)}
        nodes = [cpus for node in ground.numa_nodes if (cpus := _of(node, rank))]
        everywhere = tuple(cpu for node in nodes for cpu in node)
        everywhere += tuple(cpu for cpu in rank if cpu not in set(everywhere))
        self._rank = rank
        self._node_of = {cpu: index for index, node in enumerate(nodes) for cpu in node}
        # On some machines neighbouring numbers lie on different nodes.
        caches = sorted(
            _last_level_caches(ground.caches, rank), key=lambda cache: self._node_of.get(cache[0], len(nodes))
        )
        self._levels = [level for level in (caches, nodes, [everywhere]) if level]
        self._spread = spread
        self._uses: Counter[int] = Counter()
        self._workers_on_node: Counter[int | None] = Counter()

    def next(self, count: int) -> tuple[int, ...]:
        """Give the CPUs of the next worker."""
        count = min(count, len(self._rank))
        cost = {cpu: (self._uses[cpu], *rank) for cpu, rank in self._rank.items()}
        # No CPU that costs more than this is needed.
        limit = sorted(cost.values())[count - 1]
        cheap = {cpu for cpu in cost if cost[cpu] <= limit}
        for level in self._levels:
            groups = [_of(group, cheap) for group in level]
            enough = [group for group in groups if len(group) >= count]
            if enough:
                break
        group = min(enough, key=self._load) if self._spread else enough[0]
        chosen = tuple(sorted(group, key=cost.__getitem__)[:count])
        self._uses.update(chosen)
        self._workers_on_node[self._node_of.get(chosen[0])] += 1
        return chosen

    def _load(self, group: tuple[int, ...]) -> tuple[int, int]:
        node = self._node_of.get(group[0])
        return self._workers_on_node[node], -len(group)


def _of(cpus: Iterable[int], wanted: Iterable[int]) -> tuple[int, ...]:
    return tuple(cpu for cpu in cpus if cpu in wanted)


def _last_level_caches(caches: Iterable[Cache], known: Iterable[int]) -> list[tuple[int, ...]]:
    level = max((cache.level for cache in caches), default=0)
    groups = [_of(cache.cpus, known) for cache in caches if cache.level == level > 1]
    return [group for group in groups if group]
