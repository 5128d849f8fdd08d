"""Measures layouts within a budget, again where others disturbed it, and the best few in rounds until one has won."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from nutmill.errors import LayoutError
from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.choose import TIE, Round, compare, ranking
from nutmill.layout.search.measurements import Ledger, Measurement, Timing, least_seconds, reference

Measure = Callable[[Layout, float], Timing]
OnMeasure = Callable[[Measurement], None]

OTHERS_MOST = 0.10
_TRIES = 3
# How much slower than its bound a layout may be that was never measured.
_SURPRISE = 1.5


class Unavailable(LayoutError):
    """A layout that cannot be applied here: left out of a sweep, which goes on."""


class Recorder:
    """Measures layouts within a budget and writes down what was found.

    Parameters
    ----------
    measure : callable
        ``measure(layout, burst_s) -> Timing``.
    clock : callable
        Seconds on the clock that the budget counts.
    budget_s : float
        No measurement begins that is not expected to end within it.
    on_measure : callable, optional
        Called with each Measurement.
    """

    def __init__(self, measure: Measure, clock: Callable[[], float], budget_s: float, on_measure: OnMeasure | None):
        self.ledger = Ledger()
        self.budget_s = self.limit_s = budget_s
        self.left_out: dict[Layout, str] = {}
        self._measure, self._clock, self._on_measure = measure, clock, on_measure
        self._begin = clock()
        self._stretch: list[float] = []
        self._tries = _TRIES

    @property
    def spent_s(self) -> float:
        """Seconds since the first measurement began."""
        return self._clock() - self._begin

    def has_room(self, layouts: Iterable[Layout], burst_s: float) -> bool:
        """Say whether one more measurement of each is expected to end within the limit of now."""
        return self.spent_s + sum(self.expected_s(layout, burst_s) for layout in layouts) <= self.limit_s

    def expected_s(self, layout: Layout, burst_s: float) -> float:
        """Estimate how long a measurement takes, warm-up included; 0 before the first one."""
        if layout in self.ledger:
            seconds = self.ledger.typical(layout)
        elif reference(layout) in self.ledger:
            seconds = _SURPRISE * least_seconds(layout, self.ledger)
        else:
            seconds = max((self.ledger.typical(other) for other in self.ledger), default=0.0)
        return float(np.median(self._stretch or [0.0])) * max(burst_s, seconds)

    def take(self, layout: Layout, stage: str, burst_s: float, round: int = 0) -> float | None:
        """Measure a layout; again, up to three times in all, while others take more than a tenth of the CPUs.

        Returns seconds per unit of one chain; None where the budget has no room for it or the layout cannot be had.
        """
        tried: list[Measurement] = []
        while len(tried) < self._tries and layout not in self.left_out and self.has_room([layout], burst_s):
            try:
                tried.append(self._once(layout, stage, burst_s, round))
            except Unavailable as error:
                self.left_out[layout] = str(error)
                break
            if tried[-1].timing.others <= OTHERS_MOST:
                break
        if not tried:
            return None
        best = min(tried, key=lambda measurement: measurement.timing.others)
        # Where others stay, trying again is in vain; one quiet measurement brings the patience back.
        self._tries = _TRIES if is_quiet(best) else 1
        for measurement in tried:
            self._add(measurement._replace(kept=measurement is best))
        return best.timing.seconds

    def _once(self, layout: Layout, stage: str, burst_s: float, round: int) -> Measurement:
        before = self._clock()
        timing = self._measure(layout, burst_s)
        if not timing.seconds > 0.0:
            raise LayoutError(f"The workload took no time under {layout}: let one unit of it do more.")
        after = self._clock()
        self._stretch.append((after - before) / max(burst_s, timing.seconds))
        return Measurement(layout, timing, burst_s, stage, round, after - self._begin)

    def _add(self, measurement: Measurement) -> None:
        self.ledger.add(measurement)
        if self._on_measure is not None:
            self._on_measure(measurement)


def is_quiet(measurement: Measurement) -> bool:
    """Say whether others took no more than a tenth of the CPUs meanwhile."""
    return measurement.timing.others <= OTHERS_MOST


FINALISTS = 5
_ROUNDS_LEAST, _ROUNDS_MOST = 4, 16
# Bursts twice as long as those of the scan, where the budget allows it.
_LONGER = 2.0


def race(
    recorder: Recorder, finalists: Sequence[Layout], job: Job, burst_s: float, rng: np.random.Generator
) -> list[Round]:
    """Measure finalists in rounds, each in random order; those that are beaten drop out.

    What disturbs the machine for longer than a round slows all of them alike, and so leaves their ratios alone. There
    are at most 16 rounds, fewer where the winner is plain or the budget is spent.
    """
    rounds: list[Round] = []
    racing = list(finalists)
    if recorder.has_room(racing * _ROUNDS_LEAST, _LONGER * burst_s):
        burst_s *= _LONGER
    while len(racing) > 1 and len(rounds) < _ROUNDS_MOST and recorder.has_room(racing, burst_s):
        times = {}
        for index in rng.permutation(len(racing)):
            seconds = recorder.take(racing[index], "final", burst_s, len(rounds))
            if seconds is not None:
                times[racing[index]] = seconds
        if len(times) < 2:
            break
        rounds.append(times)
        if len(rounds) >= _ROUNDS_LEAST:
            racing = still_racing(racing, rounds, job)
    return rounds


def still_racing(racing: Sequence[Layout], rounds: Sequence[Round], job: Job) -> list[Layout]:
    """Return the layouts between which the choice is still open; only one where it is made."""
    leader = next(layout for layout in ranking(rounds, job) if layout in racing)
    behind = {layout: compare(layout, leader, rounds, job) for layout in racing if layout != leader}
    left = [layout for layout, found in behind.items() if found is None or found.low <= 1.0 + TIE]
    all_equal = all(
        found is not None and found.low >= 1.0 / (1.0 + TIE) and found.high <= 1.0 + TIE
        for layout, found in behind.items()
        if layout in left
    )
    return [leader] if all_equal else [leader, *left]
