"""Private copies of SciPy's OpenBLAS: separate pools, equal results, nothing left behind."""

import os
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layout.fortran import MATRIX, factor, product, threads_of_this_process, wait_until
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from nutmill.errors import LayoutError
from nutmill.layout.blas import private_copy
from nutmill.layout.blas.find import find_blas, scipy_blas
from nutmill.layout.blas.private_copy import has_one_pool, private_copies

pytestmark = pytest.mark.skipif(scipy_blas().name != "openblas", reason="only OpenBLAS is copied")


@pytest.fixture
def pair():
    copies = private_copies(scipy_blas(), 2)
    for copy in copies:
        copy.set_threads(1)
    yield copies
    for copy in copies:
        copy.set_threads(1)


def new_copy():
    """A copy that is not kept, and so is loaded anew."""
    return private_copy._copied(scipy_blas(), 99)


def test_thread_counts_are_separate(pair):
    first, second = pair
    shared = scipy_blas().get_threads()
    first.set_threads(3)
    assert (first.get_threads(), second.get_threads(), scipy_blas().get_threads()) == (3, 1, shared)
    second.set_threads(2)
    assert (first.get_threads(), second.get_threads(), scipy_blas().get_threads()) == (3, 2, shared)


def test_copies_are_made_once(pair):
    three = private_copies(scipy_blas(), 3)
    assert three[:2] == pair
    assert private_copies(scipy_blas(), 1) == pair[:1]
    addresses = {library.address("dgemm") for library in (*three, scipy_blas())}
    assert len(addresses) == 4


def test_copies_of_different_libraries(pair):
    (other,) = private_copies(find_blas("openblas"), 1)
    assert other.version == find_blas("openblas").version
    assert other not in pair


def test_copies_say_what_they_are(pair):
    first, second = pair
    assert (first.name, first.version, first.path) == (scipy_blas().name, scipy_blas().version, scipy_blas().path)
    assert (first.origin, second.origin) == ("SciPy's, private copy 0", "SciPy's, private copy 1")
    assert first.is_private
    assert not scipy_blas().is_private


@pytest.mark.parametrize("n_threads", [1, 2])
def test_results_are_those_of_the_library_also_at_the_same_time(pair, n_threads):
    before = scipy_blas().get_threads()
    scipy_blas().set_threads(n_threads)
    spd = MATRIX @ MATRIX.T + 300 * np.eye(300)
    try:
        expected = product(scipy_blas()), factor(scipy_blas(), spd)
    finally:
        scipy_blas().set_threads(before)
    results = {}

    def work(copy):
        for _ in range(5):
            results.setdefault(copy.origin, []).append((product(copy), factor(copy, spd)))

    for copy in pair:
        copy.set_threads(n_threads)
    workers = [threading.Thread(target=work, args=(copy,)) for copy in pair]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [len(result) for result in results.values()] == [5, 5]
    for made in results.values():
        for one, two in made:
            np.testing.assert_array_equal(one, expected[0])
            np.testing.assert_allclose(two, expected[1], rtol=1e-10)


def test_a_copy_starts_without_threads_and_gets_its_own():
    before = threads_of_this_process()
    copy = new_copy()
    # The one that loaded is over, but the system may take a moment to forget it.
    wait_until(lambda: threads_of_this_process() <= before)
    copy.set_threads(3)
    own = threads_of_this_process() - before
    assert len(own) == 2
    cpus = os.sched_getaffinity(0)
    assert all(os.sched_getaffinity(thread) == cpus for thread in own)

    assert copy.pin_pool({min(cpus)})
    assert all(os.sched_getaffinity(thread) == {min(cpus)} for thread in own)
    assert copy.pin_pool(cpus)
    assert all(os.sched_getaffinity(thread) == cpus for thread in own)
    assert os.sched_getaffinity(0) == cpus


def test_pool_that_cannot_have_its_cpus():
    copy = new_copy()
    copy.set_threads(2)
    assert not copy.pin_pool({1023})


def test_threadpoolctl_sees_a_copy_as_a_library_of_its_own_until_the_file_is_gone(monkeypatch):
    seen = []
    load = private_copy.load

    def watched(path):
        handle = load(path)
        seen.append({info["filepath"]: info for info in threadpool_info()}[os.path.realpath(path)])
        seen.append(ThreadpoolController().select(filepath=os.path.realpath(path)))
        return handle

    monkeypatch.setattr(private_copy, "load", watched)
    copy = new_copy()
    info, controller = seen
    assert (info["internal_api"], info["version"], info["num_threads"]) == ("openblas", scipy_blas().version, 1)
    copy.set_threads(2)
    assert controller.info()[0]["num_threads"] == 2
    assert info["filepath"] not in {known["filepath"] for known in threadpool_info()}
    with threadpool_limits(1):
        assert copy.get_threads() == 2


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    copy = new_copy()
    assert not list(tmp_path.iterdir())
    assert any(f"{tmp_path}/nutmill-blas-" in line for line in Path("/proc/self/maps").read_text().splitlines())
    np.testing.assert_allclose(product(copy), MATRIX @ MATRIX, rtol=1e-10, atol=1e-10)


def test_a_full_or_forbidden_folder_is_gone_around(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    first, second = new_copy(), new_copy()
    np.testing.assert_array_equal(product(second), product(first))
    first.set_threads(2)
    assert (first.get_threads(), second.get_threads()) == (2, 1)


def test_no_place_at_all(tmp_path, monkeypatch):
    def full(name):
        raise OSError("too many open files")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr(os, "memfd_create", full)
    with pytest.raises(LayoutError, match=r"openblas .* cannot be copied: .*missing.*; too many open files"):
        new_copy()


def test_a_copy_that_is_not_separate_is_refused(monkeypatch):
    monkeypatch.setattr(private_copy, "_from_folder", lambda path: scipy_blas().handle)
    before = scipy_blas().get_threads()
    with pytest.raises(LayoutError, match="not separate from it on this system"):
        new_copy()
    assert scipy_blas().get_threads() == before


def test_only_openblas_is_copied():
    for other in (replace(scipy_blas(), name="mkl"), replace(scipy_blas(), layer="sequential")):
        assert not has_one_pool(other)
        with pytest.raises(LayoutError, match="is not copied"):
            private_copies(other, 1)
