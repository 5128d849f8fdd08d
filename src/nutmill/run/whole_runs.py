"""Runs one after the other on the same arrays, each group in one native call: for many short ones."""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from nutmill.errors import SamplingError
from nutmill.nuts.group import learning_room, new_group, renew_group
from nutmill.nuts.state import START, STATISTICS, GroupState, address_table
from nutmill.run.groups import plan_of, records_of, split_into_groups
from nutmill.run.run import NativeModel, Settings


class WholeModel(NativeModel, Protocol):
    """A native model with the address of the kernel's `run`."""

    @property
    def run(self) -> int: ...


class WholeRun(NamedTuple):
    """A run that has come to its end."""

    draws: np.ndarray  # (chains, n, n_dim) float64: in memory that the next run on the same arrays writes into
    statistics: np.ndarray  # (chains, n) structured: likewise
    chains: np.ndarray  # (chains,) structured: what is known of each chain at its end (`nuts.state.CHAIN`)
    n_warmup: np.ndarray  # (chains,) int64: draws of warmup


class WholeRuns:
    """Arrays for one run after the other; of one thread.

    `native` is one of those that will run: all have its values and its sites.
    """

    def __init__(self, settings: Settings, chain_ids: Sequence[int], native: WholeModel):
        n_dim = native.n_dim
        self.settings, self.chain_ids, self.n_dim = settings, list(chain_ids), n_dim
        plan = plan_of(settings, [native])
        self._draws = np.empty((len(self.chain_ids), settings.draws, n_dim))
        self._statistics = np.zeros(self._draws.shape[:2], STATISTICS)
        room = learning_room(plan, n_dim)
        self._groups: list[tuple[slice, GroupState, np.ndarray]] = []
        for part in split_into_groups(self.chain_ids):
            state = new_group(plan, np.zeros((part.stop - part.start, n_dim)), 0, self.chain_ids[part], room)
            state = state._replace(draws=self._draws[part], statistics=self._statistics[part])
            self._groups.append((part, state, address_table(state)))

    def stop(self) -> None:
        """Ask a run under way, in whichever thread, to end after the current draw; what it gives is not whole."""
        for _, state, _ in self._groups:
            state.stop[0] = 1

    def run(self, native: WholeModel, positions: np.ndarray, seed: int) -> WholeRun:
        """Run all chains from where they start; their draws are those of `run.driver.drive`.

        Raises SamplingError if a chain could not start, or its density asked it to stop.
        """
        call = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 3)(native.run)
        for part, state, table in self._groups:
            renew_group(state, positions[part], seed, self.chain_ids[part])
            if state.sites.size > 0:
                state.written[:], state.sites[:], state.joint[:] = native.written, native.sites, native.joint
            records = records_of(native, state)
            words = np.array([*(record.address for record in records), 0], np.int64)
            status = call(table.ctypes.data, words.ctypes.data, self.settings.draws)
            if status != 0:
                what = "cannot start" if state.group[0]["phase"] == START else "had to stop"
                chain_id = self.chain_ids[part][int(words[-1])]
                raise SamplingError(f"Chain {chain_id} {what}: {native.sentence_of(status)}.")
        states = [state for _, state, _ in self._groups]
        n_warmup = [np.full(len(state.chains), state.group[0]["n_warmup"]) for state in states]
        chains = np.concatenate([state.chains for state in states])
        return WholeRun(self._draws, self._statistics, chains, np.concatenate(n_warmup))
