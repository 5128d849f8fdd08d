"""One measurement with real threads: all at once, timed per unit, errors told and everything restored."""

import signal
import threading
import time

import pytest
from layout.sleeping import Sleeping
from threadpoolctl import threadpool_info

from nutmill.errors import LayoutError
from nutmill.layout.blas.find import scipy_blas
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology
from nutmill.layout.search.burst import Bench
from nutmill.layout.search.measuring import Unavailable

UNIT_S = 0.004


@pytest.fixture(scope="module")
def machine():
    return topology()


@pytest.fixture(autouse=True)
def nothing_left():
    def state():
        pools = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
        return threading.active_count(), pools

    scipy_blas()  # loads it, which is not ours to undo
    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize("chains", [1, 2, 5])
def test_time_per_unit_of_one_chain(machine, chains):
    workload = Sleeping(lambda layout: UNIT_S)
    timing = Bench(workload, machine).measure(Layout(chains), 0.06)
    assert timing.seconds >= UNIT_S  # a sleep is never shorter
    assert timing.seconds < 3.0 * UNIT_S
    assert timing.cpu_seconds < 0.5 * UNIT_S
    assert 0.0 <= timing.others <= 1.0
    assert workload.most_at_once == chains
    assert workload.workers == set(range(chains))


def test_a_unit_longer_than_the_burst_is_done_once(machine):
    calls = []

    def work(worker, count):
        calls.append((worker, count))
        time.sleep(0.05)

    timing = Bench(work, machine).measure(Layout(2), 0.01)
    assert timing.seconds >= 0.05
    assert sorted(calls) == [(0, 1), (0, 1), (1, 1), (1, 1)]  # one to warm up, one that counts


def test_short_units_are_done_many_at_a_call(machine):
    counts = []

    def work(worker, count):
        counts.append(count)
        end = time.perf_counter() + 1e-5 * count
        while time.perf_counter() < end:
            pass

    timing = Bench(work, machine).measure(Layout(1), 0.05)
    assert 1e-5 <= timing.seconds < 1e-4
    assert counts[0] == 1
    assert max(counts) > 20
    assert len(counts) < 60


def test_the_first_moments_do_not_count(machine):
    calls = []

    def work(worker, count):
        calls.append(count)
        time.sleep(0.1 if len(calls) == 1 else 0.002 * count)

    assert Bench(work, machine).measure(Layout(1), 0.05).seconds < 0.02


def test_cpu_time_is_that_of_all_threads(machine):
    def work(worker, count):
        end = time.thread_time() + 0.002 * count
        while time.thread_time() < end:
            pass

    timing = Bench(work, machine).measure(Layout(2), 0.05)
    assert 0.0015 < timing.cpu_seconds < 0.006


@pytest.mark.parametrize("failing", [{0}, {2}, {0, 1, 2}])
@pytest.mark.parametrize("late", [False, True])
def test_what_a_workload_raises(machine, failing, late):
    calls = []

    def work(worker, count):
        calls.append(worker)
        if worker in failing and (not late or calls.count(worker) > 2):
            raise RuntimeError("the data are gone")
        time.sleep(0.002)

    with pytest.raises(LayoutError, match="raised RuntimeError under 3 chains x 1 BLAS thread: the data") as caught:
        Bench(work, machine).measure(Layout(3), 0.03)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert not isinstance(caught.value, Unavailable)


def test_a_layout_that_cannot_be_had(machine):
    with pytest.raises(Unavailable, match=r"1 chain x 1 BLAS thread .*is left out: "):
        Bench(lambda worker, count: None, machine).measure(Layout(1, blas="/nowhere/libblas.so"), 0.01)


def test_a_workload_that_cannot_use_a_layout(machine):
    class Picky(Sleeping):
        def bound(self, applied):
            raise LayoutError("dpotrf is not in this library")

    with pytest.raises(Unavailable, match="is left out: dpotrf"):
        Bench(Picky(None), machine).measure(Layout(1), 0.01)


def test_ctrl_c_ends_the_workers(machine):
    pressed = threading.Event()  # once: a second Ctrl-C need not wait for anybody

    def work(worker, count):
        time.sleep(0.005)
        if worker == 1 and not pressed.is_set():
            pressed.set()
            signal.raise_signal(signal.SIGINT)

    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        Bench(work, machine).measure(Layout(2), 5.0)
    assert time.perf_counter() - begin < 2.0


def test_threads_that_spin_are_waited_for(machine, monkeypatch):
    waits = []
    monkeypatch.setattr("nutmill.layout.search.burst._wait_for_spinning_threads", lambda: waits.append(True))
    bench = Bench(Sleeping(lambda layout: 0.001), machine)
    for layout, expected in ((Layout(1, 1), 0), (Layout(1, 2), 0), (Layout(1, 1), 1), (Layout(1, 1), 1)):
        bench.measure(layout, 0.01)
        assert len(waits) == expected


def test_a_workload_is_given_the_library(machine):
    class Threads(Sleeping):
        def bound(self, applied):
            self.threads = applied.blas.get_threads()
            return super().bound(applied)

    workload = Threads(lambda layout: 0.001)
    Bench(workload, machine).measure(Layout(2, 2), 0.01)
    assert workload.threads == 2
