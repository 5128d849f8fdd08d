"""Threads that share the blocks of loops: each block is computed once, whoever is there, and nothing is left behind."""

import ctypes
import os
import threading
import time

import pytest

from nutmill.native.teams import _code, teams

_WORD, _STATUS = ctypes.c_int64, ctypes.c_int32
_BODY = ctypes.CFUNCTYPE(_STATUS, *[_WORD] * 6)


def share(pool, function, n_blocks, arguments=0):
    """Run ``function(first, end)`` of blocks in a team; returns the status."""
    body = _BODY(lambda result, exception, given, place, first, end: function(first, end) or 0)
    entry = ctypes.CFUNCTYPE(_STATUS, *[_WORD] * 5)(_code().address("share"))
    return entry(pool, ctypes.cast(body, ctypes.c_void_p).value, arguments, 0, n_blocks)


def helpers():
    """Those of this process."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("nutmill-tiles")]


class Taken:
    """Notes who computes which blocks."""

    def __init__(self, seconds=0.0):
        self.seconds, self.parts, self.threads = seconds, [], set()

    def __call__(self, first, end):
        self.parts.append((first, end))
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)

    def blocks(self):
        return [block for first, end in sorted(self.parts) for block in range(first, end)]


@pytest.mark.parametrize("n_threads", [2, 3, 5])
def test_each_block_is_computed_once(n_threads):
    with teams(1, n_threads) as pool:
        for n_blocks in [*range(1, 40), 128] * 3:
            taken = Taken()
            assert share(pool, taken, n_blocks) == 0
            assert taken.blocks() == list(range(n_blocks))


def test_all_threads_of_a_team_take_part():
    with teams(1, 3) as pool:
        taken = Taken(seconds=0.005)
        share(pool, taken, 60)
        assert len(taken.threads) == 3 and threading.get_ident() in taken.threads


def test_helpers_that_sleep_are_woken():
    with teams(1, 2) as pool:
        for _ in range(5):
            time.sleep(0.02)  # longer than anybody spins
            taken = Taken(seconds=0.005)
            share(pool, taken, 20)
            assert len(taken.threads) == 2


def test_more_callers_than_teams_go_alone():
    with teams(1, 2) as pool:
        inside, everyone = Taken(seconds=0.002), Taken(seconds=0.01)
        others = [threading.Thread(target=share, args=(pool, everyone, 8)) for _ in range(3)]
        for other in others:
            other.start()
        for _ in range(20):
            share(pool, inside, 4)
        for other in others:
            other.join()
    assert sorted(inside.blocks()) == sorted([*range(4)] * 20)
    assert sorted(everyone.blocks()) == sorted([*range(8)] * 3)


def test_a_block_that_fails_is_told_after_all_are_done():
    with teams(1, 2) as pool:
        parts = []

        def fail(first, end):
            parts.append((first, end))
            return int(first <= 17 < end)

        assert share(pool, fail, 30) == 1
        assert sum(end - first for first, end in parts) == 30
        assert share(pool, Taken(), 30) == 0


def test_threads_that_wait_use_no_cpu():
    with teams(2, 3) as pool:
        share(pool, Taken(), 10)
        time.sleep(0.05)
        begin = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - begin < 0.1  # of two CPU s if they did not sleep


def test_helpers_end_with_the_block_whatever_ends_it():
    with teams(2, 3):
        assert len(helpers()) == 4
    assert not helpers()
    with pytest.raises(KeyboardInterrupt), teams(1, 2):
        raise KeyboardInterrupt
    assert not helpers()


def test_one_thread_needs_no_pool():
    with teams(4, 1) as pool:
        assert pool == 0 and not helpers()


def test_a_process_that_was_forked_off_goes_on_alone():
    with teams(1, 2) as pool:
        share(pool, Taken(), 10)
        time.sleep(0.02)
        child = os.fork()
        if child == 0:
            taken = Taken()
            status = share(pool, taken, 10)
            os._exit(0 if status == 0 and taken.blocks() == list(range(10)) else 1)
        assert os.waitpid(child, 0)[1] == 0
