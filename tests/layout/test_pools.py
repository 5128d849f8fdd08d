"""Layouts applied to the thread pools of this process: limits, what is read back, what is left behind."""

import ctypes
import json
import os
import shutil
import threading

import numpy as np
import pytest
from campaigns.process_state import thread_counts
from layout.fortran import MATRIX, in_thread, product
from threadpoolctl import threadpool_limits

from nutmill.errors import LayoutError
from nutmill.layout.applied import apply_layout
from nutmill.layout.blas import thread_limits as limits
from nutmill.layout.blas.find import find_blas, scipy_blas
from nutmill.layout.layout import Layout

pytestmark = pytest.mark.usefixtures("process_as_it_was")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"chains_at_once": 0}, "chains_at_once must be a whole number, at least 1, not 0"),
        ({"chains_at_once": 2.0}, "chains_at_once must be a whole number"),
        ({"chains_at_once": True}, "chains_at_once must be a whole number"),
        ({"chains_at_once": 1, "blas_threads": -1}, "blas_threads must be a whole number, at least 1, not -1"),
        ({"chains_at_once": 1, "blas": ""}, "blas must be None, a name or the path of a library, not ''"),
        ({"chains_at_once": 1, "blas": 3}, "blas must be None"),
    ],
)
def test_wrong_values_of_a_layout_are_refused(values, sentence):
    with pytest.raises(LayoutError, match=sentence):
        Layout(**values)
    with pytest.raises(LayoutError, match=sentence):
        Layout.from_dict(values)


@pytest.mark.parametrize("values", [{}, {"chains_at_once": 1, "cores": 2}, {"blas_threads": 1}, [1, 2], None])
def test_what_is_no_layout(values):
    with pytest.raises(LayoutError, match="keys blas, blas_threads, chains_at_once, tile_threads, not"):
        Layout.from_dict(values)


def test_layouts_survive_json():
    layout = Layout(np.int64(4), 2, "mkl")
    assert Layout.from_dict(json.loads(json.dumps(layout.as_dict()))) == layout
    assert Layout.from_dict({"chains_at_once": 3}) == Layout(3) == Layout(3, 1, None)
    assert len({layout, Layout(4, 2, "mkl")}) == 1


def test_layouts_of_older_profiles():
    usual = {"chains_at_once": 2, "placement": "free", "mode": "threads"}
    assert Layout.from_dict(usual) == Layout(2)
    for name, value in (("placement", "compact"), ("mode", "own_pools")):
        sentence = f"A layout with {name} '{value}' is of an older nutmill, and this one has no {name}: measure again"
        with pytest.raises(LayoutError, match=sentence):
            Layout.from_dict(usual | {name: value})


def test_layouts_have_readable_names():
    assert str(Layout(1)) == "1 chain x 1 BLAS thread"
    assert str(Layout(4, 2, "mkl")) == "4 chains x 2 BLAS threads (mkl)"


@pytest.mark.parametrize("n_threads", [1, 2])
def test_every_pool_is_limited_and_read_back(n_threads):
    with apply_layout(Layout(3, n_threads)) as applied:
        assert set(thread_counts().values()) == {n_threads}
        assert in_thread(scipy_blas().get_threads) == n_threads
        libraries = {entry["path"]: entry for entry in applied.effective["libraries"]}
        assert set(libraries) == set(thread_counts())
        assert all(entry["threads_requested"] == entry["threads"] == n_threads for entry in libraries.values())
        assert applied.effective["blas"] == scipy_blas().as_dict()
    assert applied.notes == []


def test_code_that_calls_no_blas_needs_none_but_what_is_asked_for():
    with apply_layout(Layout(2, 2), calls_blas=False) as applied:
        assert applied.effective["blas"] is None and applied.notes == []
        in_thread(applied.enter_worker, 1)
    with pytest.raises(LayoutError), apply_layout(Layout(2, blas="nowhere"), calls_blas=False):
        pass


def test_what_was_asked_and_what_took_effect_go_to_json():
    layout = Layout(2, 2)
    with apply_layout(layout) as applied:
        in_thread(applied.enter_worker, 1)
    told = json.loads(json.dumps(applied.effective))
    assert told == applied.effective
    assert Layout.from_dict(told["requested"]) == layout
    assert told["workers"][0] is None
    assert told["workers"][1]["blas_threads"] == 2
    assert told["notes"] == applied.notes == []


def test_limits_end_with_an_exception():
    before = thread_counts()
    with pytest.raises(KeyError), apply_layout(Layout(1, 3)):
        assert set(thread_counts().values()) == {3}
        raise KeyError
    assert thread_counts() == before


def test_layouts_nest():
    with apply_layout(Layout(1, 2)) as outer:
        with apply_layout(Layout(2, 1)) as inner:
            assert inner.blas.get_threads() == 1
        assert outer.blas.get_threads() == 2
        with apply_layout(Layout(1, 3)) as inner:
            assert inner.blas.get_threads() == 3
        assert outer.blas.get_threads() == 2


def test_limits_of_others_are_given_back():
    with threadpool_limits(1):
        with apply_layout(Layout(1, 2)):
            assert scipy_blas().get_threads() == 2
        assert scipy_blas().get_threads() == 1


def work_of(applied, worker):
    applied.enter_worker(worker)
    return product(applied.blas)


def test_another_library_is_limited_and_called():
    library = find_blas("openblas")
    with apply_layout(Layout(2, 2, blas="openblas")) as applied:
        assert applied.blas is library
        assert library.get_threads() == 2
        np.testing.assert_allclose(in_thread(work_of, applied, 0), MATRIX @ MATRIX, atol=1e-10)
    assert applied.effective["blas"]["version"] == library.version


def test_workers_that_do_not_exist():
    with apply_layout(Layout(2)) as applied:
        for worker in (-1, 2):
            with pytest.raises(LayoutError, match=f"There is no worker {worker} in this layout: its workers are 0 to"):
                applied.enter_worker(worker)


def test_libraries_are_looked_for_only_when_code_was_loaded(monkeypatch):
    made = []
    original = limits.ThreadpoolController
    monkeypatch.setattr(limits, "ThreadpoolController", lambda: made.append(1) or original())
    limits._known.clear()
    for _ in range(3):
        with apply_layout(Layout(1)):
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
    with apply_layout(Layout(1)):
        pass
    late = shutil.copy(find_blas("openblas").path, tmp_path / "libopenblas-late.so")
    handle = ctypes.CDLL(late)  # no import tells of it
    try:
        with apply_layout(Layout(1)) as applied:
            assert os.path.realpath(late) in {entry["path"] for entry in applied.effective["libraries"]}
            assert handle.scipy_openblas_get_num_threads() == 1
    finally:
        os.unlink(late)  # threadpoolctl sees it no longer
    limits._known.clear()


def test_workers_begin_at_the_same_time():
    layout = Layout(8, 1)
    with apply_layout(layout) as applied:
        workers = [threading.Thread(target=applied.enter_worker, args=(worker,)) for worker in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert applied.effective["workers"] == [{"blas_threads": 1}] * 8
