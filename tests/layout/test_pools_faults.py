"""Layouts that the machine does not give as asked: what is a note, what is an error, and that both say why."""

import contextlib
import os
import sys
import threading
from dataclasses import replace

import pytest
from campaigns.process_state import thread_counts
from layout.fortran import in_thread, machine, this_machine, threads_of_this_process
from threadpoolctl import threadpool_limits

from nutmill.errors import LayoutError
from nutmill.layout import layout as pools
from nutmill.layout.blas import of_workers as supply
from nutmill.layout.blas.find import scipy_blas
from nutmill.layout.blas.library import BlasLibrary, Threads
from nutmill.layout.blas.private_copy import private_copies
from nutmill.layout.layout import Layout

HERE = this_machine()
CPUS = list(HERE.cpus)

pytestmark = pytest.mark.usefixtures("process_as_it_was")


@contextlib.contextmanager
def held_by_another_thread(count):
    """Another thread holds the limit of threadpoolctl, so that this one cannot set any."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold():
        with threadpool_limits(count):
            is_held.set()
            is_over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def use_instead(monkeypatch, **changes):
    """Let the layout find SciPy's library, but with other fields."""
    library = replace(scipy_blas(), **changes)
    monkeypatch.setattr(supply, "find_blas", lambda vendor: library)
    return library


def test_a_limit_without_effect_is_noted():
    with held_by_another_thread(2):
        with Layout(2, 1).applied() as applied:
            in_thread(applied.enter_worker, 0)
        (entry,) = (e for e in applied.effective["libraries"] if e["path"] == scipy_blas().path)
        assert (entry["threads_asked"], entry["threads"]) == (1, 2)
        own, *others = applied.notes
        assert own.startswith(f"{scipy_blas().label} uses 2 BLAS threads, not the 1 of the layout: another thread")
        assert len(others) == len(thread_counts()) - 1
        assert applied.effective["workers"][0]["blas_threads"] == 2
        assert applied.effective["notes"] == applied.notes


def test_several_threads_that_cannot_be_had_are_an_error():
    with (
        held_by_another_thread(1),
        pytest.raises(LayoutError, match="uses 1 BLAS threads, not the 2 of the layout: another thread may hold"),
        Layout(1, 2).applied(),
    ):
        pass


def test_own_pools_do_not_need_the_limit_that_another_thread_holds():
    with held_by_another_thread(1), Layout(2, 2, mode="own_pools").applied() as applied:
        assert in_thread(applied.blas(1).get_threads) == 2
        assert applied.notes == []


def test_more_threads_than_the_build_allows():
    before = threads_of_this_process()
    most = scipy_blas().max_threads
    for mode in ("threads", "own_pools"):
        layout = Layout(1, most + 1, mode=mode)
        with pytest.raises(LayoutError, match=f"blas_threads={most + 1} is more than the {most} that openblas"):
            layout.applied().__enter__()
    assert threads_of_this_process() <= before


def test_a_library_that_cannot_be_limited(monkeypatch):
    library = use_instead(monkeypatch, name="blas", threads=None)
    with Layout(2).applied() as applied:
        in_thread(applied.enter_worker, 0)
        assert applied.blas(1) is library
    assert applied.notes == [f"{library.label} cannot be limited: it may use more threads than the layout says."]
    assert applied.effective["workers"][0]["blas_threads"] is None
    with pytest.raises(LayoutError, match=r"^blas .* cannot be limited, so that blas_threads=2 cannot be had: use 1"):
        Layout(2, 2).applied().__enter__()


def test_no_blas(monkeypatch):
    def nothing(vendor):
        raise LayoutError("No BLAS was found.")

    monkeypatch.setattr(supply, "find_blas", nothing)
    with Layout(2, placement="compact").applied(HERE) as applied:
        in_thread(applied.enter_worker, 1)
        with pytest.raises(LayoutError, match="No BLAS was found"):
            applied.blas(0)
    assert applied.notes == ["No BLAS was found."]
    assert applied.effective["blas"] is None
    assert applied.effective["workers"][1] == {"cpus": [CPUS[1 % len(CPUS)]], "blas_threads": None}
    for layout in (Layout(1, 2), Layout(1, blas="mkl")):
        with pytest.raises(LayoutError, match="No BLAS was found"):
            layout.applied().__enter__()


def test_unknown_vendor():
    with pytest.raises(LayoutError, match=r"No BLAS called 'fastest' is installed.*installed are: .*SciPy's"):
        Layout(1, blas="fastest").applied().__enter__()


def test_a_library_without_a_pool_is_not_copied(monkeypatch):
    library = use_instead(monkeypatch, layer="sequential")
    with Layout(2, 1, mode="own_pools").applied() as applied:
        assert applied.blas(0) is applied.blas(1) is library
    assert applied.notes == [f"Workers share {library.label}: only OpenBLAS, whose callers share one pool, is copied."]


def test_worker_whose_thread_has_another_number(monkeypatch):
    counts = threading.local()

    def set_(count):
        counts.threads = count if threading.current_thread() is threading.main_thread() else count - 1

    threads = Threads(lambda: getattr(counts, "threads", 7), set_, of_calling_thread=True)
    use_instead(monkeypatch, name="mkl", path="/nowhere/libmkl_rt.so", threads=threads)
    with Layout(2, 2).applied() as applied:
        assert applied.notes == []
        in_thread(applied.enter_worker, 1)
    assert applied.notes == ["Worker 1 has 1 BLAS threads, not 2."]
    assert counts.threads == 7
    assert applied.effective["libraries"][-1]["path"] == "/nowhere/libmkl_rt.so"


def test_limits_of_a_thread_are_set_in_each_worker(monkeypatch):
    counts = threading.local()
    threads = Threads(lambda: getattr(counts, "threads", 7), lambda n: setattr(counts, "threads", n), True)
    use_instead(monkeypatch, name="mkl", path="/nowhere/libmkl_rt.so", threads=threads)
    with Layout(2, 2).applied() as applied:
        assert in_thread(lambda: applied.blas(0).get_threads()) == 7
        for worker in range(2):
            in_thread(applied.enter_worker, worker)
    assert [worker["blas_threads"] for worker in applied.effective["workers"]] == [2, 2]


def test_refused_pins_are_noted():
    elsewhere = machine([(1021,), (1022,)])
    with Layout(2, placement="compact").applied(elsewhere) as applied:
        in_thread(applied.enter_worker, 1)
    assert applied.notes == ["Worker 1 runs unpinned: the system refused CPUs 1022 (Invalid argument)."]
    assert applied.effective["workers"][1]["cpus"] == CPUS


def test_pools_that_cannot_be_pinned_are_noted(monkeypatch):
    monkeypatch.setattr(BlasLibrary, "pin_pool", lambda self, cpus: False)
    with Layout(1, 2, "compact", "own_pools").applied(HERE) as applied:
        pass
    (note,) = applied.notes
    assert note.startswith("The threads of openblas")
    assert "run unpinned" in note
    with Layout(1, 2, "free", "own_pools").applied() as applied:
        assert applied.notes == []


def test_systems_without_pins(monkeypatch):
    with monkeypatch.context() as without:
        without.delattr(os, "sched_setaffinity")
        with Layout(1, 2, "spread").applied(HERE) as applied:
            in_thread(applied.enter_worker, 0)
    assert applied.notes == [f"Workers run unpinned: {sys.platform} has no way to pin a thread to CPUs."]
    assert applied.effective["placement"]["pinned"] is False
    assert applied.effective["workers"] == [{"cpus": None, "blas_threads": 2}]


def test_a_share_of_the_machine_without_cpus_of_its_own_is_not_pinned():
    share = machine([(cpu,) for cpu in range(16)], n_cores=4)
    with Layout(4, placement="compact").applied(share) as applied:
        assert in_thread(lambda: applied.enter_worker(3) or os.sched_getaffinity(0)) == set(CPUS)
    (note,) = applied.notes
    assert note == ("Workers run unpinned: 4 of 16 cores may be used (made by hand), and nothing says which.")


def test_an_error_while_a_layout_is_applied_leaves_no_limit(monkeypatch):
    def broken(layout, libraries, limits):
        raise LayoutError("broken")

    monkeypatch.setattr(pools, "check_limits", broken)
    with pytest.raises(LayoutError, match="broken"):
        Layout(2, 3, mode="own_pools").applied().__enter__()
    assert private_copies(scipy_blas(), 1)[0].get_threads() == 1
