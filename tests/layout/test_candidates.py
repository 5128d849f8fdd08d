"""Which layouts are tried: every one that may be the best, and no other."""

import math
from types import SimpleNamespace

import pytest

from nutmill.errors import LayoutError
from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job, candidates, chain_counts, thread_counts


def machine(n_cores):
    return SimpleNamespace(n_cores=n_cores)


def test_candidates_for_two_cores_and_four_chains():
    assert candidates(machine(2), 4) == [Layout(1, 1), Layout(2, 1), Layout(1, 2), Layout(2, 2)]


def test_candidates_for_four_cores_and_two_chains():
    assert candidates(machine(4), 2) == [
        Layout(1, 1),
        Layout(2, 1),
        Layout(1, 2),
        Layout(2, 2),
        Layout(1, 3),
        Layout(1, 4),
    ]


def test_one_core_is_tried_with_two_threads_too():
    assert candidates(machine(1), 4) == [Layout(1, 1), Layout(1, 2)]


@pytest.mark.parametrize("chains", [1, 2, 3, 4, 5, 7, 10, 16, 33])
@pytest.mark.parametrize("n_cores", [1, 2, 3, 6, 8, 64])
def test_no_chain_count_is_missed_and_none_is_wasted(chains, n_cores):
    counts = chain_counts(chains, n_cores)
    waves = [math.ceil(chains / count) for count in counts]
    assert len(set(waves)) == len(waves)
    for count in range(1, min(chains, n_cores) + 1):
        same = counts[waves.index(math.ceil(chains / count))]
        assert same <= count


@pytest.mark.parametrize("chains", [1, 3, 4, 10])
@pytest.mark.parametrize("n_cores", [1, 2, 5, 8, 10, 64, 128])
def test_layouts_fit_but_for_one_warning(chains, n_cores):
    job, layouts = Job(chains, n_cores), candidates(machine(n_cores), chains)
    assert len(set(layouts)) == len(layouts)
    over = [layout for layout in layouts if job.is_oversubscribed(layout)]
    probe = Layout(min(chains, n_cores), 2)
    assert over == ([probe] if 2 * probe.chains_at_once > n_cores else [])
    assert probe in layouts
    # The two fixed rules that a chosen layout must never lose to.
    assert Layout(1, n_cores) in layouts
    assert any(a.blas_threads == 1 and job.waves(a) == job.waves(probe) for a in layouts)


def test_thread_counts():
    assert thread_counts(1, 1) == [1]
    assert thread_counts(10, 10) == [1, 2, 3, 4, 6, 8, 10]
    assert thread_counts(128, 64) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]


def test_a_library_that_stops_at_some_threads():
    assert max(layout.blas_threads for layout in candidates(machine(128), 4, most_blas_threads=64)) == 64
    assert {layout.blas_threads for layout in candidates(machine(8), 4, most_blas_threads=1)} == {1}


def test_vendors_are_an_axis():
    alone, both = candidates(machine(4), 4), candidates(machine(4), 4, blas=(None, "mkl"))
    assert len(both) == 2 * len(alone)
    assert [layout.blas for layout in both] == [None] * len(alone) + ["mkl"] * len(alone)


def test_tile_threads_are_an_axis():
    layouts = candidates(machine(4), 2, calls_blas=False, has_tiles=True)
    assert layouts == [Layout(1), Layout(2), *(Layout(c, tile_threads=t) for c, t in ((1, 2), (2, 2), (1, 3), (1, 4)))]
    both = candidates(machine(4), 2, has_tiles=True)
    assert {(a.blas_threads, a.tile_threads) for a in both if a.chains_at_once == 1} == {
        (b, t) for b in (1, 2, 3, 4) for t in (1, 2, 3, 4)
    }
    assert not [a for a in both if Job(2, 4).is_oversubscribed(a)]
    assert candidates(machine(8), 4) == [a for a in candidates(machine(8), 4, has_tiles=True) if a.tile_threads == 1]


def test_no_chains_are_refused():
    with pytest.raises(LayoutError, match="chains must be at least 1"):
        candidates(machine(4), 0)


def test_cost_counts_waves():
    job = Job(chains=5, n_cores=4)
    assert job.waves(Layout(3, 1)) == job.waves(Layout(4, 1)) == 2
    assert job.wall_s(Layout(3, 1), 0.5) == 1.0
    assert job.cost(Layout(2, 2), 0.5) == 1.5
    assert job._replace(objective="core_hours").cost(Layout(2, 2), 0.5) == 6.0
