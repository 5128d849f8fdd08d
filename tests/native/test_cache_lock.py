"""Several processes that need the same entry of an empty cache: one makes it, and nobody waits in vain."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from processes import start

from nutmill.native import cache, cache_lock
from nutmill.native.container import Entry

HERE = {"cpu": "this one"}
ENTRY = Entry({"n": 3}, {"object": b"code"})
KEY = "0123abcd"


@pytest.fixture(autouse=True)
def folder(model_cache):
    """An empty cache."""
    shutil.rmtree(model_cache, ignore_errors=True)
    return model_cache


def made_by_four(make) -> list[Entry]:
    """Look for one entry in four threads at once, whose locks are those of four processes."""
    with ThreadPoolExecutor(4) as threads:
        looks = [threads.submit(cache.recall, "thing", KEY, HERE, make, may_keep=lambda: True) for _ in range(4)]
        return [look.result() for look in looks]


def test_who_comes_while_an_entry_is_made_waits_for_it(folder):
    made = []

    def make() -> Entry:
        made.append(1)
        time.sleep(0.3)
        return ENTRY

    assert made_by_four(make) == [ENTRY] * 4
    assert len(made) == 1 and not list(folder.glob(f".*{cache_lock.MAKING}"))


def test_where_none_can_be_kept_nobody_waits_for_the_next(monkeypatch):
    """The first keeps its entry from nobody for longer than it makes it; all others make theirs at the same time."""
    monkeypatch.setattr(cache, "store", lambda *given: False)
    together = Barrier(3, timeout=30.0)
    made = []

    def make() -> Entry:
        made.append(1)
        if len(made) == 1:
            time.sleep(0.3)
        else:
            together.wait()
        return ENTRY

    assert made_by_four(make) == [ENTRY] * 4
    assert len(made) == 4


def test_nobody_waits_for_a_process_that_died(folder):
    code = f"""
import os, signal
from nutmill.native import cache
cache.recall("thing", {KEY!r}, {{}}, lambda: os.kill(os.getpid(), signal.SIGKILL), may_keep=lambda: True)
"""
    start(code).communicate()
    (left,) = folder.glob(f".*{cache_lock.MAKING}")
    begin_s = time.monotonic()
    assert cache.recall("thing", KEY, HERE, lambda: ENTRY, may_keep=lambda: True) == ENTRY
    assert time.monotonic() - begin_s < 10.0 and not left.exists()


def test_nobody_waits_for_a_process_that_is_halted_for_ever(folder, monkeypatch):
    monkeypatch.setattr(cache_lock, "_LONGEST_S", 0.1)
    folder.mkdir(parents=True)
    with cache_lock.one_maker(folder, f"thing-{KEY}", lambda: None):
        assert cache.recall("thing", KEY, HERE, lambda: ENTRY, may_keep=lambda: True) == ENTRY
