"""The search over three axes: chains at once, BLAS threads, tile threads, on simulated machines."""

from types import SimpleNamespace

import numpy as np
import pytest
from layout.simulated import WITH_TILES, Machine, seconds_per_unit

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job, candidates
from nutmill.layout.search.choose import choose, simplicity
from nutmill.layout.search.measurements import Ledger, Measurement, Timing, least_seconds, reference
from nutmill.layout.search.search import search

CORES = (2, 8, 64)


def layouts_of(name, n_cores, chains=4):
    calls_blas = WITH_TILES[name].parallel > 0.0
    return candidates(SimpleNamespace(n_cores=n_cores), chains, calls_blas=calls_blas, has_tiles=True)


def searched(name, n_cores, seed, chains=4):
    """The chosen layout, what each costs, and how many were measured."""
    job, kind = Job(chains, n_cores), WITH_TILES[name]
    machine = Machine(lambda layout: seconds_per_unit(kind, n_cores, layout), noise=0.05, seed=seed)
    layouts = layouts_of(name, n_cores, chains)
    found = search(machine.measure, layouts, job, budget_s=20.0, clock=machine.clock, seed=seed)
    costs = {a: job.cost(a, seconds_per_unit(kind, n_cores, a)) for a in layouts if not job.is_oversubscribed(a)}
    return choose(found.rounds, job, busy=found.busy).best, costs, {m.layout for m in found.measurements}


@pytest.mark.parametrize("name", WITH_TILES)
@pytest.mark.parametrize("n_cores", CORES)
def test_the_search_ends_near_the_best(name, n_cores):
    regrets = []
    for seed in range(5):
        best, costs, measured = searched(name, n_cores, seed)
        regrets.append(costs[best] / min(costs.values()) - 1.0)
        assert len(measured) <= 45
    assert np.median(regrets) <= 0.05, regrets


def test_cores_that_no_chain_needs_go_to_tiles():
    best, costs, _ = searched("tiles", 64, seed=1)
    assert best.tile_threads > 4 and best.blas_threads == 1
    assert costs[Layout(4)] > 3.0 * costs[best]  # what a search without this axis would have found


def test_both_kinds_of_threads_are_found_together():
    best, costs, _ = searched("tiles and blas", 64, seed=1)
    assert best.tile_threads > 4 and best.blas_threads > 4
    assert min(cost for a, cost in costs.items() if 1 in (a.blas_threads, a.tile_threads)) > 1.2 * costs[best]


@pytest.mark.parametrize("name", WITH_TILES)
@pytest.mark.parametrize("n_cores", CORES)
def test_bounds_hold(name, n_cores):
    layouts = layouts_of(name, n_cores)
    true = {layout: seconds_per_unit(WITH_TILES[name], n_cores, layout) for layout in layouts}
    powers = {1, 2, 4, 8, 16, 32, 64}
    sizes = {a: (a.chains_at_once, a.blas_threads, a.tile_threads) for a in layouts}
    scanned = [a for a in layouts if set(sizes[a]) <= powers and sorted(sizes[a])[1] == 1]
    ledger = Ledger(Measurement(a, Timing(true[a], true[a]), 0.1, "scan", 0, 0.0) for a in scanned)
    for layout in layouts:
        assert least_seconds(layout, ledger) <= 1.02 * true[layout], layout


def test_each_kind_of_thread_has_a_line_of_its_own():
    seconds = {Layout(1): 1.0, Layout(1, 2): 0.9, Layout(1, tile_threads=2): 0.6}
    ledger = Ledger(Measurement(a, Timing(s, s), 0.1, "scan", 0, 0.0) for a, s in seconds.items())
    assert least_seconds(Layout(1, tile_threads=4), ledger) == pytest.approx(0.36)
    assert least_seconds(Layout(1, 4), ledger) == pytest.approx(0.81)
    assert least_seconds(Layout(1, 2, tile_threads=2), ledger) == pytest.approx(0.5)
    assert reference(Layout(4, 2, "mkl", 8)) == Layout(1, blas="mkl")


def test_tile_threads_have_to_win():
    """Without a gain of 3 % the layout with one thread is taken."""
    job = Job(1, 4)
    for seconds, chosen in ((0.98, Layout(1)), (0.6, Layout(1, tile_threads=2))):
        rounds = [{Layout(1): 1.0, Layout(1, tile_threads=2): seconds}] * 5
        assert choose(rounds, job).best == chosen
    assert simplicity(Layout(1, tile_threads=8)) < simplicity(Layout(1, 2))
