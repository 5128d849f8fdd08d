"""Python's garbage collector while nutmill compiles: what was there before is left alone, and all is put back."""

import gc
import weakref

import pytest
import zoo

from nutmill.model import garbage
from nutmill.model.garbage import seldom_collecting
from nutmill.model.graphs.pymc_model import from_pymc


class Cycle:
    """An object that only the garbage collector can find unused."""

    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def settings():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.enable()
    gc.unfreeze()


def forgotten():
    return weakref.ref(Cycle())


def test_only_what_is_made_in_the_block_is_collected_there():
    old = forgotten()
    with seldom_collecting():
        new = forgotten()
        gc.collect()
        assert old() is not None and new() is None
    gc.collect()
    assert old() is None


def test_collections_are_rare_and_as_frequent_as_before_afterwards():
    gc.set_threshold(100, 10, 10)
    seen = []
    gc.callbacks.append(lambda phase, info: seen.append(phase))
    try:
        with seldom_collecting():
            kept = [[] for _ in range(10_000)]
            assert not seen
        kept += [[] for _ in range(10_000)]
        assert seen and gc.get_threshold() == (100, 10, 10) and gc.get_freeze_count() == 0
    finally:
        gc.callbacks.pop()


def test_garbage_of_many_blocks_is_found_now_and_then(monkeypatch):
    """Python itself would never look again among what a block has left to it."""
    monkeypatch.setattr(garbage, "_ENOUGH", 0)
    gc.collect()
    there = len(gc.get_objects())
    monkeypatch.setattr(garbage, "_unlooked", garbage._Unlooked())
    garbage._unlooked.add(1)
    garbage._unlooked.look()
    seen = []
    for _ in range(10):
        with seldom_collecting():
            kept = [Cycle() for _ in range(there // 8)]  # two objects each
        seen.append(weakref.ref(kept[0]))
        del kept
    n_left = sum(one() is not None for one in seen)
    assert 1 <= n_left <= 6


def test_what_the_user_has_chosen_stays():
    with pytest.raises(KeyError), seldom_collecting(), seldom_collecting():
        raise KeyError
    assert gc.get_freeze_count() == 0
    gc.freeze()
    with seldom_collecting():
        pass
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.disable()
    with seldom_collecting():
        assert gc.get_freeze_count() == 0 and not gc.isenabled()
    assert not gc.isenabled()


@pytest.mark.parametrize(("many", "is_freed"), [(1, True), (10_000, False)])
def test_what_a_large_model_leaves_behind_is_freed(monkeypatch, many, is_freed):
    graph = from_pymc(zoo.regression())
    monkeypatch.setattr(garbage, "_MANY", many)
    gc.collect()
    gc.disable()
    left_behind = forgotten()
    garbage.tidy_up(graph)
    assert (left_behind() is None) == is_freed
