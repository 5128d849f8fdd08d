"""Groups of chains as the driver sees them: arrays, native calls, what each chain has yet to do."""

import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from nutmill.checkpoint.group_keeper import GroupKeeper, begun_with
from nutmill.checkpoint.records import draw_record
from nutmill.errors import sentence
from nutmill.native.record import Record
from nutmill.nuts.group import GroupPlan, learning_room, new_group
from nutmill.nuts.group_size import GROUP_SIZE
from nutmill.nuts.site_basis import Basis, turned_back
from nutmill.nuts.state import SAMPLING, START, STATISTICS, GroupState, address_table
from nutmill.progress.lines import ChainProgress
from nutmill.run.adaptation import AdaptationState
from nutmill.run.draws_in_memory import DrawsInMemory
from nutmill.run.run import NativeModel, Settings

_WORD = ctypes.c_int64
# Draws in memory where they go to the disk: of one chain at most, and of all together.
_WINDOW_BYTES, _WINDOWS_BYTES = 1 << 22, 1 << 28
_FIRST_BLOCK = 16


class Calls(NamedTuple):
    """The native functions, as Python calls them; each call releases the GIL."""

    start: Callable[..., int]
    advance: Callable[..., int]
    pool: Callable[..., int]


def native_calls(native: NativeModel) -> Calls:
    """Make the addresses of a compiled model callable."""
    return Calls(
        ctypes.CFUNCTYPE(ctypes.c_int32, *[_WORD] * 3)(native.start),
        ctypes.CFUNCTYPE(ctypes.c_int32, *[_WORD] * 4)(native.advance),
        ctypes.CFUNCTYPE(ctypes.c_int32, _WORD)(native.pool),
    )


class Group:
    """One group of chains under way."""

    def __init__(
        self,
        natives: Sequence[NativeModel],
        state: GroupState,
        chain_ids: list[int],
        n_draws: int,
        store: DrawsInMemory | GroupKeeper,
    ):
        self.chain_ids = chain_ids
        self.state = state
        self.store = store  # in files, draws leave the windows of `state`
        self.running: set[int] = set()  # chains in native code, or on their way to it
        self.draws_in_time = [_FIRST_BLOCK] * len(chain_ids)  # draws of each chain in the time of one block
        self.adaptation: AdaptationState | None = None  # begun with, in place of what starts tell
        self.cpu_s = [0.0, 0.0]  # in native code: warmup, sampling
        self._n_draws = n_draws
        self._calls = [native_calls(native) for native in natives]
        self._sentence_of = natives[0].sentence_of if natives else sentence
        # One for each worker and chain; without native code a group can be read.
        self._records = [records_of(native, state) for native in natives]
        self._table = address_table(state)

    @property
    def files(self) -> GroupKeeper:
        """The store of a group whose run has a folder."""
        assert isinstance(self.store, GroupKeeper)
        return self.store

    @property
    def phase(self) -> int:
        """Phase of the group (nuts.state)."""
        return int(self.state.group[0]["phase"])

    @property
    def is_sampling(self) -> bool:
        """Whether warmup is over."""
        return self.phase == SAMPLING

    @property
    def n_warmup(self) -> int:
        """Draws of warmup, those planned so far while it is not over."""
        group = self.state.group[0]
        return int(group["n_warmup"] if self.is_sampling else group["stage_end"])

    def n_drawn(self, chain: int) -> int:
        """Return how many draws of the sampling phase a chain has done."""
        if not self.is_sampling:
            return 0
        return int(self.state.chains[chain]["n_draws"] - self.state.group[0]["n_warmup"])

    def n_missing(self, chain: int) -> int:
        """Return how many draws of the present stage a chain has yet to do."""
        if self.is_sampling:
            return max(0, self._n_draws - self.n_drawn(chain))
        return int(self.state.group[0]["stage_end"] - self.state.chains[chain]["n_draws"])

    def position_as_written(self) -> np.ndarray:
        """Return where the chains are, (c, n_dim) float64, in the coordinates of the model as it is written."""
        state = self.state
        if state.centredness.size == 0 or self.phase == START:
            return state.position
        now, then = state.centredness, state.written
        here, there = (np.sqrt(1.0 - c + c * np.exp(2.0 * state.log_scale)) for c in (now, then))  # nuts.recentring
        moved = (state.position - now * state.location) * (there / here)
        recentred = np.where(now == then, state.position, then * state.location + moved)
        return turned_back(Basis(state.sites, state.joint, then), now, recentred)

    def block(self, chain: int, n_draws: int | None) -> int:
        """Return how many draws the next call should make: `n_draws`, None for a good number, no more than fit."""
        n_missing = self.n_missing(chain)
        if not (self.is_sampling or self.store.is_windowed):
            return n_missing
        n_draws = self.draws_in_time[chain] if n_draws is None else n_draws
        window = self.state.draws if self.is_sampling else self.state.warmup_draws
        return min(n_draws, n_missing, window.shape[1] or n_missing)

    def start(self, chain: int, worker: int = 0) -> int:
        """Start a chain with the code of one worker; return the status."""
        state = self.state
        if state.proposed.size > 0 and self.adaptation is not None:
            state.proposed[:] = self.adaptation.coordinates(state.written)
        return self._timed(self._calls_of(worker).start, chain, self._data(worker, chain))

    def advance(self, chain: int, n_draws: int, worker: int = 0) -> int:
        """Make draws of a chain with the code of one worker, and keep them; return the status."""
        status = self._timed(self._calls_of(worker).advance, chain, n_draws, self._data(worker, chain))
        self.store.append(chain)
        return status

    def pool(self) -> None:
        """Let the chains share what they have learned, and enter the next stage."""
        was_start = self.phase == START
        self._calls[0].pool(self._table.ctypes.data)
        if was_start and self.adaptation is not None:
            self._adopt(self.adaptation)

    def stop(self) -> None:
        """Ask the native calls under way to return after the current draw."""
        self.state.stop[0] = 1

    def sentence_of(self, status: int) -> str:
        """Say what a status of a native call means."""
        return self._sentence_of(status)

    def progress(self, chain: int) -> ChainProgress:
        """Read the counters of a chain, which native code may be moving."""
        record, schedule = self.state.chains[chain], self.state.schedule
        phase: Literal["warmup", "sampling", "done"]
        total: int | None
        if self.is_sampling:
            phase = "sampling" if self.n_missing(chain) > 0 else "done"
            draw = min(self.n_drawn(chain), self._n_draws)  # it may have made more before
            total = limit = self._n_draws
            divergences = record["n_divergences"]
        else:
            phase, draw, divergences = "warmup", record["n_draws"], record["n_warmup_divergences"]
            limit = int(schedule["n_draws"].sum())
            total = None if schedule["may_stop"].any() else limit
        return ChainProgress(
            chain=self.chain_ids[chain],
            phase=phase,
            draw=int(draw),
            total=total,
            limit=limit,
            step_size=float(np.exp(record["log_step"])),
            n_gradients=int(record["n_gradients"] - record["n_warmup_gradients"]),
            divergences=int(divergences),
        )

    def _adopt(self, adaptation: AdaptationState) -> None:
        """Take metric and step sizes from another run; warmup, if there is any, goes on from them."""
        chains, log_step = self.state.chains, np.log(adaptation.step_size)
        self.state.variance[...] = adaptation.variance
        rank = min(adaptation.stretch.shape[1], self.state.stretch.shape[1])
        self.state.directions[:, :rank] = adaptation.directions[:, :rank]
        self.state.stretch[:, :rank] = adaptation.stretch[:, :rank]
        chains["rank"] = (self.state.stretch != 1.0).sum(axis=1)
        chains["log_step_centre"] += log_step - chains["log_step"]
        chains["log_step"] = chains["log_step_bar"] = log_step

    def _data(self, worker: int, chain: int) -> int:
        return self._records[worker % len(self._records)][chain].address

    def _calls_of(self, worker: int) -> Calls:
        return self._calls[worker % len(self._calls)]

    def _timed(self, call, *arguments) -> int:
        phase = int(self.is_sampling)
        begin = time.thread_time()
        status = call(self._table.ctypes.data, *arguments)
        self.cpu_s[phase] += time.thread_time() - begin
        return status


def chains_of(groups: Sequence[Group]) -> list[tuple[Group, int]]:
    """List all chains of a run, each as its group and its number there."""
    return [(group, chain) for group in groups for chain in range(len(group.chain_ids))]


class _SharedRecord(NamedTuple):
    """The record of a model, as it is."""

    address: int


def records_of(native: NativeModel, state: GroupState) -> list[Record | _SharedRecord]:
    """What each chain reads: the record of the model, or one with coordinates of the chain's own."""
    if state.written.size == 0:
        return [_SharedRecord(native.data)] * len(state.chains)
    return [native.reading(centredness) for centredness in state.centredness]


def split_into_groups(chain_ids: list[int]) -> list[slice]:
    """Return the positions of the chains of each group: chain ids 4g to 4g + 3 belong together."""
    starts = [
        k for k, chain_id in enumerate(chain_ids) if k == 0 or chain_id // GROUP_SIZE != chain_ids[k - 1] // GROUP_SIZE
    ]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(chain_ids)], strict=True)]


def _window(n_dim: int, n_chains: int) -> int:
    """Return how many draws of each chain stay in memory until they are written."""
    return max(1, min(_WINDOW_BYTES, _WINDOWS_BYTES // n_chains) // draw_record(n_dim).itemsize)


def plan_of(settings: Settings, natives: Sequence[NativeModel], window: int | None = None) -> GroupPlan:
    """Say what each group is to do, with room for all of its draws or a window for some.

    Where no value of the model belongs to a site there are no coordinates to choose: its code could not read them.
    Without native code settings are believed.
    """
    has_sites = bool((natives[0].sites >= 0).any()) if natives else True
    return GroupPlan(
        draws=settings.draws,
        tune=settings.tune,
        target_accept=settings.target_accept,
        metric=settings.metric,
        centring=settings.centring == "auto" and has_sites,
        max_treedepth=settings.max_treedepth,
        keep_warmup=settings.keep_warmup,
        n_divergences=settings.draws if settings.keep_divergences else 0,
        window=window,
    )


def new_groups(
    natives: Sequence[NativeModel],
    initial_points: np.ndarray,
    settings: Settings,
    seed: int,
    chain_ids: list[int],
    *,
    folder: Path | None = None,
) -> list[Group]:
    """Make all groups of a run, with files for draws and states if there is a `folder`."""
    n_dim = initial_points.shape[1]
    plan = plan_of(settings, natives, None if folder is None else _window(n_dim, len(chain_ids)))
    draws = np.empty((len(chain_ids), plan.room(settings.draws), n_dim))
    statistics = np.zeros(draws.shape[:2], STATISTICS)
    groups, room = [], learning_room(plan, n_dim)  # one for all: the driver takes their barriers one after the other
    for part in split_into_groups(chain_ids):
        state = new_group(plan, initial_points[part], seed, chain_ids[part], room)
        state = state._replace(draws=draws[part], statistics=statistics[part])
        if plan.centring and natives:
            state.written[:], state.sites[:], state.joint[:] = natives[0].written, natives[0].sites, natives[0].joint
        store: DrawsInMemory | GroupKeeper = DrawsInMemory(state, (draws, statistics))
        if folder is not None:
            store = GroupKeeper(folder, state, chain_ids[part], begun_with(settings._asdict(), seed, n_dim))
        groups.append(Group(natives, state, chain_ids[part], settings.draws, store))
    return groups
