"""Layouts applied to the thread pools of this process: limits, pins, what is read back, what is left behind."""

import ctypes
import json
import os
import shutil
import threading

import numpy as np
import pytest
from campaigns.process_state import thread_counts
from layout.fortran import MATRIX, in_thread, machine, masks, product, this_machine, threads_of_this_process
from threadpoolctl import threadpool_limits

from nutmill.errors import LayoutError
from nutmill.layout import layout as pools
from nutmill.layout.blas import thread_limits as limits
from nutmill.layout.blas.find import find_blas, scipy_blas
from nutmill.layout.layout import Layout

HERE = this_machine()
CPUS = list(HERE.cpus)

pytestmark = pytest.mark.usefixtures("process_as_it_was")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"chains_at_once": 0}, "chains_at_once must be a whole number, at least 1, not 0"),
        ({"chains_at_once": 2.0}, "chains_at_once must be a whole number"),
        ({"chains_at_once": True}, "chains_at_once must be a whole number"),
        ({"chains_at_once": 1, "blas_threads": -1}, "blas_threads must be a whole number, at least 1, not -1"),
        ({"chains_at_once": 1, "placement": "dense"}, "placement must be one of free, compact, spread, not 'dense'"),
        ({"chains_at_once": 1, "mode": "processes"}, "mode must be one of threads, own_pools, not 'processes'"),
        ({"chains_at_once": 1, "mode": ["threads"]}, "mode must be one of"),
        ({"chains_at_once": 1, "blas": ""}, "blas must be None, a name or the path of a library, not ''"),
        ({"chains_at_once": 1, "blas": 3}, "blas must be None"),
    ],
)
def test_wrong_values(values, sentence):
    with pytest.raises(LayoutError, match=sentence):
        Layout(**values)
    with pytest.raises(LayoutError, match=sentence):
        Layout.from_dict(values)


@pytest.mark.parametrize("values", [{}, {"chains_at_once": 1, "cores": 2}, {"blas_threads": 1}, [1, 2], None])
def test_what_is_no_layout(values):
    with pytest.raises(LayoutError, match="A layout has the keys blas, blas_threads, chains_at_once, mode, placement"):
        Layout.from_dict(values)


def test_layouts_survive_json():
    layout = Layout(np.int64(4), 2, "spread", "own_pools", "mkl")
    assert Layout.from_dict(json.loads(json.dumps(layout.as_dict()))) == layout
    assert Layout.from_dict({"chains_at_once": 3}) == Layout(3) == Layout(3, 1, "free", "threads", None)
    assert len({layout, Layout(4, 2, "spread", "own_pools", "mkl")}) == 1


@pytest.mark.parametrize("n_threads", [1, 2])
def test_every_pool_is_limited_and_read_back(n_threads):
    with Layout(3, n_threads).applied() as applied:
        assert set(thread_counts().values()) == {n_threads}
        assert in_thread(scipy_blas().get_threads) == n_threads
        libraries = {entry["path"]: entry for entry in applied.effective["libraries"]}
        assert set(libraries) == set(thread_counts())
        assert all(entry["threads_asked"] == entry["threads"] == n_threads for entry in libraries.values())
        assert applied.effective["blas"] == scipy_blas().as_dict()
    assert applied.notes == []


def test_code_that_calls_no_blas_needs_none_but_what_is_asked_for():
    with Layout(2, 2).applied(calls_blas=False) as applied:
        assert applied.effective["blas"] is None and applied.notes == []
        in_thread(applied.enter_worker, 1)
    with pytest.raises(LayoutError), Layout(2, blas="nowhere").applied(calls_blas=False):
        pass


def test_what_was_asked_and_what_took_effect_go_to_json():
    layout = Layout(2, 2, "compact", "own_pools")
    with layout.applied(HERE) as applied:
        in_thread(applied.enter_worker, 1)
    told = json.loads(json.dumps(applied.effective))
    assert told == applied.effective
    assert Layout.from_dict(told["asked"]) == layout
    assert told["workers"][0] is None
    assert told["workers"][1]["blas_threads"] == 2
    assert told["notes"] == applied.notes == []


def test_limits_end_with_an_exception():
    before = thread_counts()
    with pytest.raises(KeyError), Layout(1, 3).applied():
        assert set(thread_counts().values()) == {3}
        raise KeyError
    assert thread_counts() == before


@pytest.mark.parametrize("mode", ["threads", "own_pools"])
def test_layouts_nest(mode):
    with Layout(1, 2, mode=mode).applied() as outer:
        with Layout(2, 1, mode=mode).applied() as inner:
            assert inner.blas(0).get_threads() == inner.blas(1).get_threads() == 1
        assert outer.blas(0).get_threads() == 2
        with Layout(1, 3, mode=mode).applied() as inner:
            assert inner.blas(0).get_threads() == 3
        assert outer.blas(0).get_threads() == 2


def test_limits_of_others_are_given_back():
    with threadpool_limits(1):
        with Layout(1, 2).applied():
            assert scipy_blas().get_threads() == 2
        assert scipy_blas().get_threads() == 1


def test_workers_are_pinned_to_their_places():
    layout = Layout(len(CPUS) + 1, 1, "compact")
    with layout.applied(HERE) as applied:
        masks = [in_thread(pinned_mask, applied, worker) for worker in range(layout.chains_at_once)]
        assert os.sched_getaffinity(0) == set(CPUS)
    assert masks == [{cpu} for cpu in (*CPUS, CPUS[0])]
    assert applied.effective["placement"] == {
        "asked": "compact",
        "pinned": True,
        "cpus": [[cpu] for cpu in (*CPUS, CPUS[0])],
    }
    assert [worker["cpus"] for worker in applied.effective["workers"]] == applied.effective["placement"]["cpus"]


def pinned_mask(applied, worker):
    applied.enter_worker(worker)
    return os.sched_getaffinity(0)


def test_this_machine_is_read_only_for_pins(monkeypatch):
    calls = []
    monkeypatch.setattr(pools, "read_topology", lambda: calls.append(1) or HERE)
    with Layout(1).applied():
        assert calls == []
    with Layout(1, placement="spread").applied() as applied:
        assert calls == [1]
    assert applied.effective["placement"]["cpus"] == [[CPUS[0]]]


def test_free_workers_are_not_pinned():
    with Layout(1).applied(HERE) as applied:
        assert in_thread(pinned_mask, applied, 0) == set(CPUS)
    assert applied.effective["placement"]["pinned"] is False


def test_worker_in_the_thread_that_applied_gets_its_cpus_back():
    with Layout(2, placement="compact").applied(HERE) as outer:
        outer.enter_worker(0)
        assert os.sched_getaffinity(0) == {CPUS[0]}
        outer.enter_worker(1)
        with Layout(1, placement="compact").applied(HERE) as inner:
            inner.enter_worker(0)
            assert os.sched_getaffinity(0) == {CPUS[0]}
        assert os.sched_getaffinity(0) == {CPUS[1 % len(CPUS)]}
    assert os.sched_getaffinity(0) == set(CPUS)
    with pytest.raises(KeyError), Layout(1, placement="compact").applied(HERE) as applied:
        applied.enter_worker(0)
        raise KeyError
    assert os.sched_getaffinity(0) == set(CPUS)


def test_pools_that_grow_under_a_pin_are_not_pinned():
    n_threads = 5  # more than any other test asks for, so that the pool has to grow here
    with Layout(1, placement="compact").applied(HERE) as outer:
        outer.enter_worker(0)
        before = threads_of_this_process()
        with Layout(1, n_threads).applied():
            grown = threads_of_this_process() - before
            assert os.sched_getaffinity(0) == {CPUS[0]}
        assert grown
        assert masks(grown) == [set(CPUS)] * len(grown)


def test_own_pools_are_separate():
    with Layout(2, 2, mode="own_pools").applied() as applied:
        first, second = applied.blas(0), applied.blas(1)
        assert len({library.address("dgemm") for library in (first, second, scipy_blas())}) == 3
        assert first.get_threads() == second.get_threads() == 2
        assert scipy_blas().get_threads() == 1
        np.testing.assert_array_equal(in_thread(work_of, applied, 0), in_thread(work_of, applied, 1))
        origins = [entry["origin"] for entry in applied.effective["libraries"] if entry["origin"]]
        assert origins == ["SciPy's, private copy 0", "SciPy's, private copy 1"]
        assert [worker["blas_threads"] for worker in applied.effective["workers"]] == [2, 2]
    assert first.get_threads() == second.get_threads() == 1
    assert applied.effective["blas"]["path"] == scipy_blas().path
    assert applied.notes == []


def test_own_pools_are_pinned_with_their_workers_and_unpinned_by_the_next_layout():
    before = threads_of_this_process()
    n_threads = 6  # more than any other test asks of copies 0 and 1, so that they start threads here
    with Layout(2, n_threads, mode="own_pools").applied():
        started = threads_of_this_process() - before
        assert len(started) >= 4
        assert masks(started) == [set(CPUS)] * len(started)
    one_cpu = machine([(CPUS[-1],)])
    with Layout(2, n_threads, "compact", "own_pools").applied(one_cpu) as applied:
        assert masks(started) == [{CPUS[-1]}] * len(started)
        assert os.sched_getaffinity(0) == set(CPUS)
    assert applied.notes == []
    with Layout(2, n_threads, "free", "own_pools").applied():
        assert masks(started) == [set(CPUS)] * len(started)


def work_of(applied, worker):
    applied.enter_worker(worker)
    return product(applied.blas(worker))


def test_another_library_is_limited_and_called():
    library = find_blas("openblas")
    with Layout(2, 2, blas="openblas").applied() as applied:
        assert applied.blas(0) is applied.blas(1) is library
        assert library.get_threads() == 2
        np.testing.assert_allclose(in_thread(work_of, applied, 0), MATRIX @ MATRIX, atol=1e-10)
    assert applied.effective["blas"]["version"] == library.version
    with Layout(2, 2, blas=library.path, mode="own_pools").applied() as applied:
        assert applied.blas(1).origin == "package scipy-openblas32, private copy 1"
        assert applied.blas(1).version == library.version


def test_workers_that_do_not_exist():
    with Layout(2).applied() as applied:
        for worker in (-1, 2):
            with pytest.raises(LayoutError, match=f"There is no worker {worker} in this layout: its workers are 0 to"):
                applied.enter_worker(worker)
            with pytest.raises(LayoutError, match=f"There is no worker {worker}"):
                applied.blas(worker)


def test_libraries_are_looked_for_only_when_code_was_loaded(monkeypatch):
    made = []
    original = limits.ThreadpoolController
    monkeypatch.setattr(limits, "ThreadpoolController", lambda: made.append(1) or original())
    limits._known.clear()
    for _ in range(3):
        with Layout(1).applied():
            pass
    assert made == [1]
    monkeypatch.setattr(limits, "_mapped_code_kb", lambda: -1)
    limits.known_pools()
    assert made == [1, 1]
    monkeypatch.setattr(limits, "_mapped_code_kb", lambda: None)  # nothing tells: better to look once more
    limits.known_pools()
    limits.known_pools()
    assert made == [1, 1, 1, 1]


def test_a_library_loaded_later_is_limited(tmp_path):
    with Layout(1).applied():
        pass
    late = shutil.copy(find_blas("openblas").path, tmp_path / "libopenblas-late.so")
    handle = ctypes.CDLL(late)  # no import tells of it
    try:
        with Layout(1).applied() as applied:
            assert os.path.realpath(late) in {entry["path"] for entry in applied.effective["libraries"]}
            assert handle.scipy_openblas_get_num_threads() == 1
    finally:
        os.unlink(late)  # threadpoolctl sees it no longer
    limits._known.clear()


def test_workers_begin_at_the_same_time():
    layout = Layout(8, 1, "spread")
    with layout.applied(HERE) as applied:
        workers = [threading.Thread(target=applied.enter_worker, args=(worker,)) for worker in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert [worker["cpus"] for worker in applied.effective["workers"]] == applied.effective["placement"]["cpus"]
