"""Threads that help others with the blocks of a loop: started for a run, asleep while there is nothing to do."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import llvmlite.binding as llvm
import numpy as np

from nutmill.native.object import NativeObject
from nutmill.native.processor import target
from nutmill.native.team_code import FIRST_TEAM, N_TEAMS, N_THREADS, SHARE, TEAM_BYTES, team_code

_LINE = 64  # bytes of a cache line


@contextmanager
def teams(n_teams: int, n_threads: int) -> Iterator[int]:
    """Have threads at hand that share the blocks of loops with those that run them.

    A loop that is run while all teams are busy is done by its own thread alone; so it is where helpers have ended, as
    in a process that was forked off.

    Parameters
    ----------
    n_teams : int
        How many threads may be helped at the same time.
    n_threads : int
        Threads of each team, one of them that which is helped: 1 means no helpers.

    Yields
    ------
    int
        Address of the pool, for the word `TEAMS_WORD` of a record; 0 where there are no helpers.
    """
    if n_threads < 2:
        yield 0
        return
    pool = _Pool(n_teams, n_threads)
    try:
        pool.start()
        yield pool.address
    finally:
        pool.end()


class _Pool:
    """Memory of teams as `native/team_code.py` lays it out, and their helpers."""

    def __init__(self, n_teams: int, n_threads: int):
        self._code = _code()
        room = np.zeros(FIRST_TEAM + n_teams * TEAM_BYTES + _LINE, dtype=np.uint8)
        self._room = room[-room.ctypes.data % _LINE :]
        words = self._room[:FIRST_TEAM].view(np.int64)
        words[SHARE // 8], words[N_TEAMS // 8], words[N_THREADS // 8] = self._code.address("share"), n_teams, n_threads
        self._teams = [self.address + FIRST_TEAM + TEAM_BYTES * team for team in range(n_teams)]
        # Each holds this object, and so the memory, for as long as it runs.
        self._helpers = [
            threading.Thread(target=self._help, args=(address,), name=f"nutmill-tiles-{team}-{helper}", daemon=True)
            for team, address in enumerate(self._teams)
            for helper in range(1, n_threads)
        ]

    @property
    def address(self) -> int:
        """Address of the memory."""
        return self._room.ctypes.data

    def start(self) -> None:
        """Let the helpers wait for work."""
        for team in self._teams:
            self._call("gather", team)
        for helper in self._helpers:
            helper.start()

    def end(self) -> None:
        """Let the helpers end, and wait until they have."""
        for team in self._teams:
            self._call("dismiss", team)
        for helper in self._helpers:
            if helper.ident is not None:
                helper.join()

    def _help(self, team: int) -> None:
        self._call("help", self.address, team)

    def _call(self, entry: str, *words: int) -> None:
        ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(words))(self._code.address(entry))(*words)


@cache
def _code() -> NativeObject:
    """The machine code of teams, made in this process: in some milliseconds, and it depends on no model."""
    machine = target().machine()
    module = llvm.parse_assembly(team_code(machine.triple))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    return NativeObject(machine.emit_object(module))
