"""What goes into a run of chains, what comes out of it, and the clock of its time on the wall."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from nutmill.native.record import Record
from nutmill.nuts.state import STATISTICS
from nutmill.nuts.warmup.schedule import warmup_schedule
from nutmill.run.adaptation import AdaptationState


def statistics_bytes() -> int:
    """Bytes of the statistics of one draw."""
    return STATISTICS.itemsize


class NativeModel(Protocol):
    """Compiled kernel and density: addresses of C functions (`nuts.entry`) and of the data."""

    @property
    def n_dim(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def advance(self) -> int: ...
    @property
    def pool(self) -> int: ...
    @property
    def mixing(self) -> int: ...
    @property
    def data(self) -> int: ...
    @property
    def sites(self) -> np.ndarray: ...
    @property
    def joint(self) -> np.ndarray: ...
    @property
    def written(self) -> np.ndarray: ...

    def reading(self, centredness: np.ndarray) -> Record:
        """Make a record in which the centrednesses are those of an array."""

    def release(self) -> None:
        """Give back memory that native code keeps for its next call."""

    def sentence_of(self, status: int) -> str:
        """Say what a status of these functions means."""


class Settings(NamedTuple):
    """What the user sets."""

    draws: int = 1000  # draws to keep of each chain
    # Warmup draws of each chain; None: until the chains agree, after at most 1000, and 200 more where they diverge.
    tune: int | None = None
    target_accept: float = 0.8  # mean acceptance that warmup tunes the step size for, between 0 and 1
    metric: str = "auto"  # "auto" or "diag", see `nuts.group.GroupPlan`
    # "auto": chains choose their coordinates; "off": those of the model as it is written, or it has no sites.
    centring: str = "off"
    max_treedepth: int = 10  # largest number of doublings of a trajectory
    keep_warmup: bool = False  # keep draws and statistics of warmup
    keep_divergences: bool = False  # keep where each divergence of the sampling phase began and ended

    @property
    def longest_warmup(self) -> int:
        """Warmup draws of each chain at most."""
        return int(warmup_schedule(self.tune, self.max_treedepth, self.target_accept)["n_draws"].sum())


class Ending(NamedTuple):
    """How a run ended."""

    stopped_by: str | None = None  # name of a signal, "max_time" or "until"; None: by its last draw
    n_enough: int | None = None  # draws of each chain that were enough, if "until" was met
    caught: str | None = None  # name of a signal that came while the run went on, whether or not it ended it

    @property
    def is_interrupted(self) -> bool:
        """Whether draws are missing that were asked for."""
        return self.stopped_by is not None and self.n_enough is None


class Divergences(NamedTuple):
    """The divergences of one chain, in the order of its draws."""

    records: np.ndarray  # (k,) structured: draw, energy_error, status
    # (k, 3, n_dim) float64: the point before the divergent step, the point after it, the gradient before it.
    points: np.ndarray


class WarmupEnd(NamedTuple):
    """How the warmup of each chain went, beside what it has learned (`run.adaptation.AdaptationState`)."""

    n_draws: np.ndarray  # (chains,) int64: draws of warmup
    admitted: np.ndarray  # (chains,) bool: whether the chain ended in the pool of those that share metric and step size
    # (chains,) float64: mean acceptance that the step size was tuned for at last: more than was asked for where draws
    # diverged.
    target_accept: np.ndarray
    # (chains,) int64: draws of warmup when a chain last left a mode of negligible mass for where another was; 0: never.
    restarted_at: np.ndarray


class Seconds(NamedTuple):
    """Time of each phase: on the wall up to the last chain's end of it, and in native code of all threads."""

    warmup_wall: float
    warmup_cpu: float
    sampling_wall: float
    sampling_cpu: float


# (chains, n, ...), or a list of (n, ...), one a chain, which stay in files until looked at.
Chains = np.ndarray | Sequence[np.ndarray]


@dataclass(frozen=True)
class Run:
    """A finished or interrupted run; all chains have the same number of draws."""

    chain_ids: list[int]
    # (chains, n, n_dim) float64: of a run with a folder: a list of (n, n_dim) float64, one a chain, which stay in files
    # until looked at.
    draws: Chains
    # (chains, n) structured: fields as ArviZ names them (`nuts.state.STATISTICS`); in files, a list as above.
    statistics: Chains
    # As above, or None: the last draws of warmup, as many as the shortest warmup has.
    warmup_draws: Chains | None
    warmup_statistics: Chains | None
    divergences: list[Divergences] | None
    adaptation: AdaptationState  # step sizes and metric of each chain, and its last draw of those that are kept
    warmup: WarmupEnd
    n_gradients: np.ndarray  # (chains,) int64: evaluations of the density, warmup included
    ending: Ending
    messages: list[str]  # what the user should know, a sentence each
    seconds: Seconds

    @property
    def interrupted(self) -> bool:
        """Whether draws are missing that were asked for."""
        return self.ending.is_interrupted


class Clock:
    """Seconds on the wall, over all the times that a run was resumed: to the end of warmup, and from there on."""

    def __init__(self):
        self._before = (0.0, 0.0)
        self._begin = time.perf_counter()
        self._warmup_end = self._begin
        self._end: float | None = None

    def resume(self, before: tuple[float, float]) -> None:
        """Count what earlier processes took for the same run: warmup, sampling."""
        self._before = before

    def end_warmup(self) -> None:
        """Take note that a group has ended its warmup."""
        self._warmup_end = time.perf_counter()

    def stop(self, is_sampling: bool) -> None:
        """Take note that all chains are at rest, and whether all have ended their warmup."""
        self._end = time.perf_counter()
        if not is_sampling:
            self._warmup_end = self._end

    @property
    def walls_s(self) -> tuple[float, float]:
        """Seconds of warmup and of sampling, up to now or to the stop."""
        end = time.perf_counter() if self._end is None else self._end
        return self._before[0] + self._warmup_end - self._begin, self._before[1] + end - self._warmup_end
