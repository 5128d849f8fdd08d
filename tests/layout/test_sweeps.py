"""Sweeps with real threads: a sleeping BLAS, a real matrix product; what a sweep says, keeps and raises."""

import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from campaigns.process_state import thread_counts
from layout.simulated import KINDS, Machine, seconds_per_unit
from layout.sleeping import Sleeping

from benchmarks.layout.exhaustive import exhaustive_sweep
from nutmill.errors import LayoutError
from nutmill.layout.blas.find import scipy_blas
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology
from nutmill.layout.search.candidates import Job, candidates
from nutmill.layout.search.sweep import Sweep, sweep

LAYOUTS = [Layout(c, b) for c in (1, 2, 4) for b in (1, 2)]
EIGHT = SimpleNamespace(n_cores=8, cpus=tuple(range(8)))


def simulated_sweep(kind="gp 1000", n_cores=8, chains=4, noise=0.05, seed=1, **options):
    machine = Machine(lambda layout: seconds_per_unit(KINDS[kind], n_cores, layout), noise=noise, seed=seed)
    options = {"measure": machine.measure, "clock": machine.clock} | options
    return sweep(None, SimpleNamespace(n_cores=n_cores), chains=chains, **options)


@pytest.mark.parametrize(
    "seconds, best",
    [
        (lambda a: 0.012 / a.blas_threads, Layout(4, 2)),  # threads help
        (lambda a: 0.012, Layout(4, 1)),  # they do not
        (lambda a: 0.004 * a.chains_at_once**1.5 / a.blas_threads**0.5, Layout(1, 2)),  # company hurts
    ],
)
def test_a_sleeping_blas(seconds, best):
    scipy_blas()  # loads it, which is not ours to undo
    before, workload = (thread_counts(), threading.active_count()), Sleeping(seconds)
    begin = time.perf_counter()
    found = sweep(workload, EIGHT, chains=4, layouts=LAYOUTS, budget_s=2.5)
    assert time.perf_counter() - begin < 3.0
    assert found.best == best
    assert seconds(best) <= found.seconds < 1.5 * seconds(best)  # a sleep is never shorter
    assert found.wall_s == pytest.approx(-(-4 // best.chains_at_once) * found.seconds)
    assert (thread_counts(), threading.active_count()) == before


def test_a_matrix_product():
    machine = topology()
    left, right = np.random.default_rng(1).normal(size=(2, 120, 120))

    def multiply(worker, count):
        for _ in range(count):
            left @ right

    before = thread_counts()
    found = sweep(multiply, machine, chains=2, budget_s=1.0)
    assert not found.job.is_oversubscribed(found.best)
    assert found.seconds > 0.0
    assert {row.layout for row in found.table()} >= {Layout(1), Layout(min(2, machine.n_cores))}
    assert all(row.cpu_seconds > 0.0 for row in found.table())
    assert thread_counts() == before


def test_a_workload_that_raises_after_a_while():
    calls = []

    def work(worker, count):
        calls.append(count)
        if len(calls) > 60:
            raise ValueError("x has 3 rows, not 4")
        time.sleep(0.002)

    before = thread_counts()
    with pytest.raises(LayoutError, match=r"The workload raised ValueError under .*: x has 3 rows"):
        sweep(work, topology(), chains=2, budget_s=5.0)
    assert thread_counts() == before


def test_a_vendor_that_is_not_there_is_left_out():
    found = sweep(
        lambda worker, count: time.sleep(0.001 * count),
        topology(),
        chains=1,
        blas=(None, "/nowhere/libblas.so"),
        budget_s=1.0,
    )
    assert found.best.blas is None
    assert any("/nowhere/libblas.so" in note and "left out" in note for note in found.notes)


def test_where_others_cannot_be_seen_it_is_said(monkeypatch):
    monkeypatch.setattr("nutmill.layout.search.load.LoadMeter.others", lambda self, before, after: None)
    found = sweep(lambda worker, count: time.sleep(0.001 * count), topology(), chains=1, budget_s=0.5)
    assert any("cannot be read here" in note for note in found.notes)
    assert found.others == 0.0


def test_the_way_through_json():
    found = simulated_sweep()
    again = Sweep.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again == found
    assert (again.seconds, again.table()) == (found.seconds, found.table())


@pytest.mark.parametrize("key", ["job", "best", "runner_up", "margin", "confidence", "measurements"])
@pytest.mark.parametrize("value", [7, "x", {}, [{}], [1]])
def test_damaged_records_are_refused(key, value):
    with pytest.raises(LayoutError):
        Sweep.from_dict(simulated_sweep().as_dict() | {key: value})


def test_records_without_a_part():
    for key in ("job", "best", "measurements", "notes"):
        values = simulated_sweep().as_dict()
        del values[key]
        with pytest.raises(LayoutError, match="not the record of a sweep"):
            Sweep.from_dict(values)


def test_the_table_is_sorted_by_what_the_job_costs():
    found = simulated_sweep("regression", 8, 16)
    costs = [row.wall_s for row in found.table()]
    assert costs == sorted(costs)
    for row in found.table():
        assert row.wall_s == pytest.approx(-(-16 // row.layout.chains_at_once) * row.seconds)
        assert row.is_oversubscribed == (row.layout == Layout(8, 2))
    assert sum(row.n_measured for row in found.table()) == sum(m.kept for m in found.measurements)


def test_core_hours_take_fewer_cores():
    wall, hours = (simulated_sweep(objective=objective, noise=0.0) for objective in ("wall", "core_hours"))
    assert hours.best.chains_at_once * hours.best.blas_threads < wall.best.chains_at_once * wall.best.blas_threads
    assert hours.as_dict()["job"]["objective"] == "core_hours"


def test_what_more_threads_than_cores_do_is_said():
    (slow,) = [note for note in simulated_sweep("gp 1000", 8, 8).notes if "times as slow" in note]
    assert "8 chains x 2 BLAS threads" in slow
    more_cores = Machine(lambda layout: 0.01 / layout.blas_threads)
    notes = simulated_sweep(chains=8, measure=more_cores.measure, clock=more_cores.clock).notes
    assert any("8 chains x 2 BLAS threads is faster" in note and "more cores than" in note for note in notes)


def test_an_exhaustive_sweep_measures_all_equally_often():
    machine = Machine(lambda layout: seconds_per_unit(KINDS["gp 1000"], 8, layout), noise=0.05)
    found = exhaustive_sweep(machine.measure, candidates(EIGHT, 4), Job(4, 8), repeats=7)
    assert {row.n_measured for row in found.table()} == {7}
    assert len(found.table()) == 12
    true = {row.layout: row.wall_s for row in found.table()}
    assert true[found.best] <= 1.05 * min(true.values())
    assert len(simulated_sweep().measurements) < len(found.measurements) / 2


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"chains": 0}, "chains must be a whole number, at least 1, not 0"),
        ({"chains": 2.5}, "chains must be a whole number"),
        ({"objective": "speed"}, "objective must be one of wall, core_hours, not 'speed'"),
        ({"budget_s": 0.0}, "budget_s must be a positive number of seconds, not 0.0"),
        ({"budget_s": float("nan")}, "budget_s must be a positive"),
        ({"measure": None}, "There is no workload"),
        ({"layouts": []}, "None of the 0 layouts"),
    ],
)
def test_bad_input_is_one_sentence(options, sentence):
    with pytest.raises(LayoutError, match=sentence):
        simulated_sweep(**options)
