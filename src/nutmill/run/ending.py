"""What may end a run before its last draw: enough draws, a call from elsewhere, a signal, the end of its time."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from nutmill.errors import ArgumentError
from nutmill.native.convergence import Precision, mixing_of, precision_of
from nutmill.run.groups import Group, chains_of

# What ends a run, beside the names of signals and who has called it off.
MAX_TIME, UNTIL, CALLED_OFF = "max_time", "until", "called_off"
# Ctrl-C; what schedulers send before they kill.
INTERRUPT = (signal.SIGINT,)
ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# Draws of each chain at which they are first judged; later counts are multiples of it, each a fifth larger at least.
FIRST_COUNT = 100
# Estimates that end a run are those that chance has made good: they must be good at so many counts in a row.
LOOKS = 2
_GROWTH = 1.2


class Until(NamedTuple):
    """What draws must reach to be enough, in every unconstrained value; None: whatever it is."""

    # Least effective sample size, of the bulk and of the tails.
    ess: float | None = None
    ess_tail: float | None = None
    rhat: float | None = None  # largest R-hat
    # Largest Monte Carlo standard error of the mean, the 5 % and the 95 % quantile, in standard deviations.
    mcse: float | None = None

    def is_met(self, draws: np.ndarray, mixing: int) -> bool:
        """Tell whether all values are good enough; NaN never is.

        `draws` are (n_chains, n_draws, n_dim), `mixing` is the address of the kernel's entry.
        """
        found = mixing_of(mixing, draws)
        if self.rhat is not None and not (found.rhat <= self.rhat).all():
            return False
        if self.ess is not None and not (found.ess_bulk >= self.ess).all():
            return False
        if self.ess_tail is not None and not (found.ess_tail >= self.ess_tail).all():
            return False
        return self.mcse is None or self._is_precise(precision_of(mixing, draws))

    def _is_precise(self, found: Precision) -> bool:
        errors = (found.mcse_mean, found.mcse_low, found.mcse_high)
        return all(bool((error <= self.mcse * found.sd).all()) for error in errors)


class Limits(NamedTuple):
    """Limits of one run."""

    max_time_s: float | None = None  # seconds from the start of sampling, warmup included
    until: Until | None = None


NO_LIMITS = Limits()


def checked_limits(max_time, until: Mapping[str, float] | None, *, chains: int, draws: int) -> Limits:
    """Check `max_time` and `until` as users give them.

    Raises ArgumentError if one has no meaning, or can never be met with the draws asked for.
    """
    if max_time is not None and not (_is_number(max_time) and max_time > 0):
        raise ArgumentError(f"max_time must be a number of seconds above 0, not {max_time!r}.")
    return Limits(max_time, None if not until else _checked_until(until, chains, draws))


def _checked_until(until, chains: int, draws: int) -> Until:
    if not isinstance(until, Mapping) or set(until) - set(Until._fields):
        known = ", ".join(f'"{name}"' for name in Until._fields)
        raise ArgumentError(f"until must be a dict with one or more of {known}, not {until!r}.")
    for name, value in until.items():
        if not (_is_number(value) and value > 0):
            raise ArgumentError(f"until: {name} must be a number above 0, not {value!r}.")
    if draws < LOOKS * FIRST_COUNT:
        raise ArgumentError(
            f"until can never be met by {draws} draws: they are first judged at {FIRST_COUNT}, and must be good enough "
            f"at {LOOKS} counts in a row."
        )
    # ArviZ caps the effective sample size there, however antithetic chains are.
    most = chains * draws * math.log10(chains * draws)
    errors = (until[name] ** -2 for name in ("mcse",) if name in until)
    if (wanted := max([until.get("ess", 0.0), until.get("ess_tail", 0.0), *errors])) > most:
        raise ArgumentError(
            f"until can never be met: {chains} chains of {draws} draws have an effective sample size of at most "
            f"{most:.0f}, below {wanted:g}. Ask for more draws."
        )
    if "rhat" in until and (until["rhat"] <= 1.0 or chains == 1):
        near = f"R-hat comes near 1 from above, and {until['rhat']:g} is not above"
        raise ArgumentError(f"until can never be met: {'one chain has no R-hat' if chains == 1 else near}.")
    return Until(**until)


def _is_number(value) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def counts_to_judge(draws: int) -> list[int]:
    """Return the numbers of draws of each chain at which they are judged: 100, 200, 300, ... 1000, 1200, ..."""
    counts, count = [], FIRST_COUNT
    while count <= draws:
        counts.append(count)
        count = FIRST_COUNT * max(count // FIRST_COUNT + 1, math.ceil(_GROWTH * count / FIRST_COUNT))
    return counts


class Deadline:
    """Whether the time of a run is over."""

    def __init__(self, max_time_s: float | None):
        self._end_s = math.inf if max_time_s is None else time.monotonic() + max_time_s

    @property
    def left_s(self) -> float:
        """Seconds to the end, not below 0."""
        return max(0.0, self._end_s - time.monotonic())


class StopSignals:
    """Notes the first signal of some kinds; a second one of the same kind acts as it did before."""

    def __init__(self, signals: Iterable[signal.Signals]):
        self.caught: str | None = None  # its name
        self._signals = signals
        self._before: dict[int, Callable | int | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number in list(self._before):
            self._restore(number)

    def _note(self, number: int, _frame) -> None:
        self.caught = self.caught or signal.Signals(number).name
        self._restore(number)

    def _restore(self, number: int) -> None:
        before = self._before.pop(number, None)
        # None: it was set by code that is not Python's, and cannot be given back.
        if before is not None:
            signal.signal(number, before)


class Judge:
    """Finds at which count the draws of all chains were enough; used from the driver's thread, within a `with`.

    What it finds depends on draws alone, not on when it is asked: counts are judged one after the other, also those
    that chains have passed long ago.
    """

    def __init__(self, until: Until | None, draws: int, groups: Sequence[Group], mixing: int):
        self.n_enough: int | None = None  # the first count at which they were, as at the count before it
        self._n_good = 0  # counts in a row at which draws were good enough
        self._until = until
        self._groups = groups
        self._mixing = mixing
        self._counts = [] if until is None else counts_to_judge(draws)
        self._judging: Future | None = None

    def __enter__(self) -> Self:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="nutmill-judge")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._executor.shutdown(wait=True)

    def advance(self) -> set[Future]:
        """Take a judgement that was made, and begin the next if its draws are there; return what to wait for."""
        if self._judging is not None and self._judging.done():
            count = self._counts.pop(0)
            self._n_good = self._n_good + 1 if self._judging.result() else 0
            if self._n_good == LOOKS:
                self.n_enough, self._counts = count, []
            self._judging = None
        is_due = self._judging is None and self._counts and self._n_at_hand() >= self._counts[0]
        if self._until is not None and is_due:
            self._judging = self._executor.submit(self._is_enough, self._until, self._counts[0])
        return set() if self._judging is None else {self._judging}

    def _n_at_hand(self) -> int:
        return min(group.store.n_written("draws", chain) for group, chain in chains_of(self._groups))

    def _is_enough(self, until: Until, count: int) -> bool:
        chains = [group.store.read("draws", chain)[0][:count] for group, chain in chains_of(self._groups)]
        return until.is_met(np.stack(chains), self._mixing)


class StopConditions(NamedTuple):
    """What may end a run before its last draw, and how often to look."""

    signals: StopSignals
    deadline: Deadline
    judge: Judge
    interval_s: float
    called_off_by: Callable[[], str | None] | None

    def met(self) -> str | None:
        """Return the name of what ends the run now, None if it goes on."""
        if self.judge.n_enough is not None:
            return UNTIL
        if self.called_off_by is not None and (who := self.called_off_by()) is not None:
            return who
        return self.signals.caught or (MAX_TIME if self.deadline.left_s == 0.0 else None)
