"""Layouts that the machine does not give as asked: what is a note, what is an error, and that both say why."""

import contextlib
import threading
from dataclasses import replace

import pytest
from campaigns.process_state import thread_counts
from layout.fortran import in_thread, threads_of_this_process
from threadpoolctl import threadpool_limits

from nutmill.errors import LayoutError
from nutmill.layout import applied as applying
from nutmill.layout.applied import apply_layout
from nutmill.layout.blas.find import scipy_blas
from nutmill.layout.blas.library import Threads
from nutmill.layout.layout import Layout

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
    monkeypatch.setattr(applying, "find_blas", lambda vendor: library)
    return library


def test_a_limit_without_effect_is_noted():
    with held_by_another_thread(2):
        with apply_layout(Layout(2, 1)) as applied:
            in_thread(applied.enter_worker, 0)
        (entry,) = (e for e in applied.effective["libraries"] if e["path"] == scipy_blas().path)
        assert (entry["threads_requested"], entry["threads"]) == (1, 2)
        own, *others = applied.notes
        assert own.startswith(f"{scipy_blas().label} uses 2 BLAS threads, not the 1 of the layout: another thread")
        assert len(others) == len(thread_counts()) - 1
        assert applied.effective["workers"][0]["blas_threads"] == 2
        assert applied.effective["notes"] == applied.notes


def test_several_threads_that_cannot_be_had_are_an_error():
    with (
        held_by_another_thread(1),
        pytest.raises(LayoutError, match="uses 1 BLAS threads, not the 2 of the layout: another thread may hold"),
        apply_layout(Layout(1, 2)),
    ):
        pass


def test_more_threads_than_the_build_allows():
    before = threads_of_this_process()
    most = scipy_blas().max_threads
    with pytest.raises(LayoutError, match=f"blas_threads={most + 1} is more than the {most} that openblas"):
        apply_layout(Layout(1, most + 1)).__enter__()
    assert threads_of_this_process() <= before


def test_a_library_that_cannot_be_limited_is_said_so(monkeypatch):
    library = use_instead(monkeypatch, name="blas", threads=None)
    with apply_layout(Layout(2)) as applied:
        in_thread(applied.enter_worker, 0)
        assert applied.blas is library
    assert applied.notes == [f"{library.label} cannot be limited: it may use more threads than the layout says."]
    assert applied.effective["workers"][0]["blas_threads"] is None
    with pytest.raises(LayoutError, match=r"^blas .* cannot be limited, so that blas_threads=2 cannot be had: use 1"):
        apply_layout(Layout(2, 2)).__enter__()


def test_without_blas_only_code_that_calls_none_runs(monkeypatch):
    def nothing(vendor):
        raise LayoutError("No BLAS was found.")

    monkeypatch.setattr(applying, "find_blas", nothing)
    with apply_layout(Layout(2)) as applied:
        in_thread(applied.enter_worker, 1)
        with pytest.raises(LayoutError, match="No BLAS was found"):
            _ = applied.blas
    assert applied.notes == ["No BLAS was found."]
    assert applied.effective["blas"] is None
    assert applied.effective["workers"][1] == {"blas_threads": None}
    for layout in (Layout(1, 2), Layout(1, blas="mkl")):
        with pytest.raises(LayoutError, match="No BLAS was found"):
            apply_layout(layout).__enter__()


def test_an_unknown_vendor_is_refused():
    with pytest.raises(LayoutError, match=r"No BLAS called 'fastest' is installed.*installed are: .*SciPy's"):
        apply_layout(Layout(1, blas="fastest")).__enter__()


def test_worker_whose_thread_has_another_number(monkeypatch):
    counts = threading.local()

    def set_(count):
        counts.threads = count if threading.current_thread() is threading.main_thread() else count - 1

    threads = Threads(lambda: getattr(counts, "threads", 7), set_, of_calling_thread=True)
    use_instead(monkeypatch, name="mkl", path="/nowhere/libmkl_rt.so", threads=threads)
    with apply_layout(Layout(2, 2)) as applied:
        assert applied.notes == []
        in_thread(applied.enter_worker, 1)
    assert applied.notes == ["Worker 1 has 1 BLAS threads, not 2."]
    assert counts.threads == 7
    assert applied.effective["libraries"][-1]["path"] == "/nowhere/libmkl_rt.so"


def test_limits_of_a_thread_are_set_in_each_worker(monkeypatch):
    counts = threading.local()
    threads = Threads(lambda: getattr(counts, "threads", 7), lambda n: setattr(counts, "threads", n), True)
    use_instead(monkeypatch, name="mkl", path="/nowhere/libmkl_rt.so", threads=threads)
    with apply_layout(Layout(2, 2)) as applied:
        assert in_thread(lambda: applied.blas.get_threads()) == 7
        for worker in range(2):
            in_thread(applied.enter_worker, worker)
    assert [worker["blas_threads"] for worker in applied.effective["workers"]] == [2, 2]


def test_an_error_while_a_layout_is_applied_leaves_no_limit(monkeypatch):
    def broken(layout, library, limits):
        raise LayoutError("broken")

    before = thread_counts()
    monkeypatch.setattr(applying, "_differences", broken)
    with pytest.raises(LayoutError, match="broken"):
        apply_layout(Layout(2, 3)).__enter__()
    assert thread_counts() == before
