"""Places of workers on machines that are recorded or made by hand."""

from collections import Counter

import numpy as np
import pytest
from layout.fortran import machine

from nutmill.layout.layout import Layout, places
from nutmill.layout.machine.topology import topology


def pairs(first, last):
    """Cores with two CPUs each."""
    return [(cpu, cpu + 1) for cpu in range(first, last, 2)]


def test_free_workers_have_no_place():
    assert places(Layout(3, 2), machine(pairs(0, 8))) == ((), (), ())


@pytest.mark.parametrize("placement", ["compact", "spread"])
def test_each_core_has_one_worker_before_siblings_get_any(recorded, placement):
    laptop = topology(recorded("laptop"))
    assert places(Layout(4, 1, placement), laptop) == ((0,), (1,), (2,), (3,))
    assert places(Layout(6, 1, placement), laptop)[4:] == ((4,), (5,))
    assert places(Layout(2, 2, placement), laptop) == ((0, 1), (2, 3))


@pytest.mark.parametrize("placement", ["compact", "spread"])
def test_fast_cores_come_first(recorded, placement):
    hybrid = topology(recorded("hybrid"))
    got = [cpu for (cpu,) in places(Layout(16, 1, placement), hybrid)]
    assert got[:4] == [0, 2, 4, 6]
    assert sorted(got[4:12]) == list(range(8, 16))
    assert sorted(got[12:]) == [1, 3, 5, 7]


def test_compact_keeps_workers_in_a_cache_and_fills_nodes_in_turn(recorded):
    sockets = topology(recorded("two_sockets"))
    found = places(Layout(16, 4, "compact"), sockets)
    assert found == tuple(tuple(range(first, first + 4)) for first in range(0, 64, 4))
    assert places(Layout(4, 1, "compact"), sockets) == ((0,), (1,), (2,), (3,))


def test_compact_goes_beyond_a_cache_only_if_it_must(recorded):
    sockets = topology(recorded("two_sockets"))
    found = places(Layout(20, 3, "compact"), sockets)
    in_one_cache = [len({cpu // 4 for cpu in place}) == 1 for place in found]
    in_one_node = [len({cpu // 32 for cpu in place}) == 1 for place in found]
    assert in_one_cache == [True] * 16 + [False] * 4
    assert all(in_one_node)
    assert len({cpu for place in found for cpu in place}) == 60


def test_spread_deals_over_nodes_then_caches(recorded):
    sockets = topology(recorded("two_sockets"))
    found = places(Layout(6, 2, "spread"), sockets)
    assert found == ((0, 1), (32, 33), (4, 5), (36, 37), (8, 9), (40, 41))


def test_nodes_whose_numbers_alternate():
    cores = [(cpu,) for cpu in range(8)]
    alternating = machine(cores, numa_nodes=[(0, 2, 4, 6), (1, 3, 5, 7)])
    assert places(Layout(4, 2, "compact"), alternating) == ((0, 2), (4, 6), (1, 3), (5, 7))
    assert places(Layout(4, 2, "spread"), alternating) == ((0, 2), (1, 3), (4, 6), (5, 7))
    assert places(Layout(2, 3, "compact"), alternating) == ((0, 2, 4), (1, 3, 5))


def test_cores_of_two_nodes_rather_than_siblings():
    two_nodes = machine(pairs(0, 12), numa_nodes=[tuple(range(6)), tuple(range(6, 12))])
    assert places(Layout(3, 2, "compact"), two_nodes) == ((0, 2), (6, 8), (4, 10))


def test_more_workers_than_cpus_share_them_evenly():
    found = places(Layout(10, 1, "compact"), machine([(0,), (1,), (2,), (3,)]))
    assert Counter(found) == {(0,): 3, (1,): 3, (2,): 2, (3,): 2}
    # The CPU that is left over is used before any has a second worker.
    assert places(Layout(2, 2, "compact"), machine([(0,), (1,), (2,)])) == ((0, 1), (2, 0))


def test_more_threads_than_cpus_get_them_all():
    assert places(Layout(2, 5, "spread"), machine([(4,), (7,)])) == ((4, 7), (4, 7))


def test_nodes_and_cores_that_do_not_agree():
    strange = machine([(0,), (1,), (2,)], numa_nodes=[(1, 9)])
    assert sorted(places(Layout(3, 1, "compact"), strange)) == [(0,), (1,), (2,)]


@pytest.mark.parametrize("seed", range(30))
def test_any_layout_uses_any_machine_evenly(seed):
    random = np.random.default_rng(seed)
    n_cores, siblings, n_nodes = random.integers(1, 17), random.integers(1, 3), random.integers(1, 4)
    cores = [tuple(range(core * siblings, (core + 1) * siblings)) for core in range(n_cores)]
    nodes = [tuple(cpu for core in cores[node::n_nodes] for cpu in core) for node in range(n_nodes)]
    made = machine(cores, [node for node in nodes if node], fast_cores=cores[: random.integers(1, n_cores + 1)])
    layout = Layout(random.integers(1, 20), random.integers(1, 7), random.choice(["compact", "spread"]))
    found = places(layout, made)

    assert [len(place) for place in found] == [min(layout.blas_threads, len(made.cpus))] * layout.chains_at_once
    assert all(len(set(place)) == len(place) for place in found)
    uses = Counter(cpu for place in found for cpu in place)
    assert set(uses) <= set(made.cpus)
    assert max(uses.values()) - min(uses[cpu] for cpu in made.cpus) <= 1
    if len(uses) <= n_cores and max(uses.values()) == 1:
        assert len({core for core in cores for cpu in uses if cpu in core}) == len(uses)
