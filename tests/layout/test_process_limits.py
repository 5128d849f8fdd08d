"""Layouts that several threads apply at the same time: shared, waited for, refused, and given back by the last."""

import os
import signal
import threading
from contextlib import contextmanager

import pytest
from campaigns.process_state import thread_counts
from layout.fortran import wait_until
from threadpoolctl import threadpool_limits

from nutmill.errors import LayoutError
from nutmill.layout.applied import apply_layout
from nutmill.layout.blas.find import scipy_blas
from nutmill.layout.layout import Layout

ONE, TWO = Layout(1, 1), Layout(1, 2)

pytestmark = pytest.mark.usefixtures("process_as_it_was")


class Other:
    """A layout that another thread applies, until it is told to leave."""

    def __init__(self, layout, **options):
        self.entered, self._leave, self.error = threading.Event(), threading.Event(), None
        self._thread = threading.Thread(target=self._hold, args=(layout, options))
        self._thread.start()

    def _hold(self, layout, options):
        try:
            with apply_layout(layout, **options):
                self.entered.set()
                self._leave.wait()
                self.threads = scipy_blas().get_threads()
        except BaseException as error:
            self.error = error

    def let_go(self):
        self._leave.set()

    def leave(self):
        self.let_go()
        self._thread.join()


@contextmanager
def other(layout, **options):
    """Another thread that has applied a layout."""
    holder = Other(layout, **options)
    holder.entered.wait()
    try:
        yield holder
    finally:
        holder.leave()


def test_the_first_sets_and_the_last_restores():
    before = scipy_blas().get_threads()
    layout = Layout(1, 2 if before == 1 else 1)
    with other(layout) as first, apply_layout(layout) as applied:
        first.leave()
        assert applied.blas.get_threads() == layout.blas_threads
        assert scipy_blas().get_threads() == layout.blas_threads
    assert scipy_blas().get_threads() == before
    assert applied.notes == []
    with apply_layout(layout):  # the same when another thread is the last
        last = Other(layout)
        last.entered.wait()
    assert scipy_blas().get_threads() == layout.blas_threads
    last.leave()
    assert scipy_blas().get_threads() == before


def test_another_number_waits_for_its_turn(caplog):
    with other(TWO) as first:
        waiting = [Other(Layout(1, count)) for count in (1, 1, 3)]
        wait_until(lambda: len(caplog.records) == 3)
        assert scipy_blas().get_threads() == 2
        assert not any(one.entered.is_set() for one in waiting)
        first.leave()
    assert first.threads == 2
    for one in waiting:  # in whatever order their turns come
        one.let_go()
    for one, count in zip(waiting, (1, 1, 3), strict=True):
        one.leave()
        assert (one.error, one.threads) == (None, count)
    assert "they have 2 BLAS threads and this one needs 1, and a process has one number" in caplog.text


def test_whoever_calls_no_blas_is_not_waited_for():
    before = scipy_blas().get_threads()
    with other(ONE, calls_blas=False) as guest:
        with apply_layout(TWO):
            with other(ONE, calls_blas=False):
                assert scipy_blas().get_threads() == 2
            guest.leave()  # whose number lies beneath
            assert scipy_blas().get_threads() == 2
        assert scipy_blas().get_threads() == before
    with other(ONE, calls_blas=False):
        with apply_layout(TWO):
            pass
        assert scipy_blas().get_threads() == 1
    assert scipy_blas().get_threads() == before


def test_a_wait_can_be_interrupted():
    with other(TWO), pytest.raises(KeyboardInterrupt):
        threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,)).start()
        apply_layout(ONE).__enter__()


def test_a_wait_can_be_ended_by_whoever_is_called_meanwhile():
    def no_more():
        raise KeyError

    with other(TWO), pytest.raises(KeyError):
        apply_layout(ONE, no_more).__enter__()


def test_a_thread_does_not_wait_for_itself():
    with apply_layout(ONE), other(ONE):
        with pytest.raises(LayoutError, match="applied a layout with 1 BLAS threads, which other runs in this"):
            apply_layout(TWO).__enter__()
        assert scipy_blas().get_threads() == 1


def test_an_error_of_one_leaves_the_others_their_limits():
    with other(TWO) as first:
        with pytest.raises(KeyError), apply_layout(TWO):
            raise KeyError
        assert scipy_blas().get_threads() == 2
    assert first.threads == 2


def test_a_fork_begins_with_what_was_before():
    before = thread_counts()
    with other(Layout(1, 3)):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                kept = thread_counts() == before
                with apply_layout(ONE):  # nobody is there to be waited for
                    status = int(not (kept and scipy_blas().get_threads() == 1))
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert scipy_blas().get_threads() == 3


def test_a_number_that_others_change_meanwhile_is_reported(caplog):
    before = scipy_blas().get_threads()
    with apply_layout(TWO) as applied:
        with threadpool_limits(1):  # and given back
            pass
        scipy_blas().set_threads(3)
    (note,) = applied.notes
    assert "has set openblas" in note and "to 3 BLAS threads meanwhile, not the 2 of the layout" in note
    assert note in caplog.text
    assert scipy_blas().get_threads() == 3  # what others have set is theirs
    scipy_blas().set_threads(before)
