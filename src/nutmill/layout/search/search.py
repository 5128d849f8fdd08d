"""The search for a layout: libraries, two scans, the points of the grid that may still win, halving, final rounds.

It knows neither threads nor clocks: a machine is a callable from a layout to a timing, so that tests plug in
machines of 128 cores.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nutmill.errors import LayoutError
from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.choose import Round
from nutmill.layout.search.libraries import worthwhile
from nutmill.layout.search.measurements import Measurement, least_seconds, reference
from nutmill.layout.search.measuring import FINALISTS, Measure, OnMeasure, Recorder, is_quiet, race

# The search for finalists may take this share of the budget, one burst this one, within these lengths.
_EXPLORE_SHARE = 0.6
_BURST_SHARE, _BURST_LEAST_S, _BURST_MOST_S = 1.0 / 200.0, 0.01, 0.1

_AXES = ("blas_threads", "tile_threads")
_EFFICIENCY_LEAST = 0.35
# What counts as a difference between two scan points.
_GAIN, _LOSS = 0.95, 1.15
# Two measurements that differ by more are not believed without a third; nor is one this much above its bound.
_DISAGREE, _SURPRISE = 1.3, 1.25
# Standard deviations by which the cheapest so far may be cheap by luck.
_CAUTION = 1.5


class Searched(NamedTuple):
    """What a search measured."""

    measurements: tuple[Measurement, ...]  # every one, in order
    rounds: tuple[Round, ...]  # the final rounds; one round of typical values where the budget did not reach so far
    busy: bool  # whether others disturbed a quarter or more of what the decision rests on
    notes: tuple[str, ...]


def search(
    measure: Measure,
    layouts: Sequence[Layout],
    job: Job,
    *,
    budget_s: float,
    clock: Callable[[], float],
    seed: int = 0,
    on_measure: OnMeasure | None = None,
) -> Searched:
    """Measure layouts until it is plain which is cheapest for the job, or the budget is spent.

    Parameters
    ----------
    measure : callable
        ``measure(layout, burst_s) -> Timing``.
    layouts : sequence of Layout
        Those to choose from; the oversubscribed among them are measured once, as a warning.
    budget_s : float
        By `clock`. No measurement begins that is not expected to end within it.
    clock : callable
    seed : int
        Of the order within rounds.
    on_measure : callable, optional
        Called with each Measurement.

    Raises
    ------
    LayoutError
        No layout fits the cores, none could be applied, or the budget is too small.
    """
    recorder = Recorder(measure, clock, budget_s, on_measure)
    hunt = _Search(recorder, layouts, job, np.random.default_rng(seed))
    hunt.begin()
    recorder.limit_s = _EXPLORE_SHARE * budget_s
    hunt.compare_libraries()
    for family in hunt.families:
        hunt.scan_threads(family)
        hunt.scan_chains(family)
    hunt.probe()
    hunt.grid()
    finalists = hunt.halve()
    recorder.limit_s = budget_s
    rounds = race(recorder, finalists, job, hunt.burst_s, hunt.rng)
    return hunt.found(rounds)


class _Search:
    """One search: what it may choose from, and what it knows so far."""

    def __init__(self, recorder: Recorder, layouts: Sequence[Layout], job: Job, rng: np.random.Generator):
        self.recorder, self.ledger, self.job, self.rng = recorder, recorder.ledger, job, rng
        distinct = list(dict.fromkeys(layouts))
        self.choosable = [layout for layout in distinct if not job.is_oversubscribed(layout)]
        self.probes = [layout for layout in distinct if job.is_oversubscribed(layout)]
        if not self.choosable:
            raise LayoutError(f"None of the {len(distinct)} layouts fits on {job.n_cores} cores: give one that does.")
        self.families = list(dict.fromkeys(reference(layout) for layout in self.choosable))
        self.burst_s = min(max(recorder.budget_s * _BURST_SHARE, _BURST_LEAST_S), _BURST_MOST_S)
        self._most_threads: dict[tuple[Layout, str], float] = {}

    def begin(self) -> None:
        """Measure one chain; see from it whether the budget allows all chains and two threads too; measure these."""
        first = next((a for a in self.families if self.recorder.take(a, "scan", self.burst_s) is not None), None)
        if first is None:
            raise self._nothing_measured()
        found = self._along_chains(first)[-1:]
        for axis in _AXES:
            found += self._along_threads(first, axis)[:2]
        others = [layout for layout in dict.fromkeys(found) if layout != first]
        needed_s = self.recorder.spent_s + sum(self.recorder.expected_s(other, self.burst_s) for other in others)
        if needed_s > self.recorder.budget_s:
            raise LayoutError(
                f"A budget of {self.recorder.budget_s:.3g} s is too small: one round needs about {needed_s:.2g} s, "
                f"as one unit of the workload takes {self.ledger.typical(first):.2g} s."
            )
        for other in others:
            self.recorder.take(other, "scan", self.burst_s)

    def compare_libraries(self) -> None:
        """Go on with the layouts of those libraries that may still win."""
        self.families = worthwhile(self.recorder, self.families, self.job, self.burst_s)
        self.choosable = [layout for layout in self.choosable if reference(layout) in self.families]

    def scan_threads(self, family: Layout) -> None:
        """Measure one chain with 1, 2, 4, ... threads, each twice, until more of them are of no use."""
        for axis in _AXES:
            self._most_threads[family, axis] = math.inf
        if self._twice(family):
            for axis in _AXES:
                self._scan_axis(family, axis)

    def _scan_axis(self, family: Layout, axis: str) -> None:
        """Measure along the threads of one kind."""
        line = self._along_threads(family, axis)
        for layout in [a for a in line if a != family and (_is_power(getattr(a, axis)) or a == line[-1])]:
            best_s = min(self.ledger.fastest(other) for other in (family, *line) if other in self.ledger)
            if not self._twice(layout):
                break
            seconds = self.ledger.fastest(layout)
            efficiency = self.ledger.fastest(family) / seconds / getattr(layout, axis)
            # Cores that no chain needs cost nothing: go on while the time still falls.
            if efficiency < _EFFICIENCY_LEAST and seconds > _GAIN * best_s:
                self._most_threads[family, axis] = getattr(layout, axis)
                break
        # The fixed rule "one chain, all threads" is never left unmeasured.
        if line and line[-1] not in self.ledger:
            self.recorder.take(line[-1], "scan", self.burst_s)

    def scan_chains(self, family: Layout) -> None:
        """Measure chains with one thread each, twice: the most at once, and between where company slows them."""
        line = self._along_chains(family)
        if family not in line:
            line = [family, *line]
        gaps = [(0, len(line) - 1)]
        while gaps:
            low, high = gaps.pop()
            if not all(self._twice(layout) for layout in (line[low], line[high])):
                return
            slower = self.ledger.fastest(line[high]) / self.ledger.fastest(line[low])
            if high - low > 1 and slower > _LOSS:
                # Chains at once lie about evenly on a logarithmic axis, and so the middle is about their mean.
                gaps += [(low, (low + high) // 2), ((low + high) // 2, high)]

    def probe(self) -> None:
        """Measure once what needs more threads than there are cores."""
        for layout in self.probes:
            if reference(layout) in self.ledger and reference(layout) in self.families:
                self.recorder.take(layout, "probe", self.burst_s)

    def grid(self) -> None:
        """Measure the points that may still win, the most promising first, until the next one can hardly."""
        waiting = [a for a in self.choosable if a not in self.ledger and self._is_open(a)]
        while waiting:
            layout = min(waiting, key=self._bound)
            bound_s = least_seconds(layout, self.ledger)
            if self.job.cost(layout, bound_s) > self._least_cost():
                return
            waiting.remove(layout)
            seconds = self.recorder.take(layout, "grid", self.burst_s)
            if seconds is not None and not bound_s <= seconds <= _SURPRISE * bound_s:
                self.recorder.take(layout, "grid", self.burst_s)

    def halve(self) -> list[Layout]:
        """Measure the better ones in turn with longer and longer bursts; keep a third each time, until few are left.

        The best with one thread a chain stays among them, and the best of SciPy's library, since others have to win
        against these; and the second best.
        """
        alive = self._hopeful([layout for layout in self.choosable if layout in self.ledger])
        n_rounds = 0
        while len(alive) > FINALISTS:
            n_rounds += 1
            for index in self.rng.permutation(len(alive)):
                self.recorder.take(alive[index], "halving", self.burst_s * 2.0**n_rounds, n_rounds)
            alive = self._hopeful(alive)[: max(FINALISTS, math.ceil(len(alive) / 3))]
        ranked = sorted((layout for layout in self.choosable if layout in self.ledger), key=self._cost)
        one_thread = [layout for layout in ranked if layout.threads_of_chain == 1]
        of_scipy = [layout for layout in ranked if layout.blas is None]
        return list(dict.fromkeys([*alive, *one_thread[:1], *of_scipy[:1], *ranked[:2]]))

    def found(self, rounds: list[Round]) -> Searched:
        """Sum up; where there were no final rounds, with one of typical values."""
        measured = [layout for layout in self.choosable if layout in self.ledger]
        if not measured:
            raise LayoutError(
                f"No layout could be measured: {' '.join(dict.fromkeys(self.recorder.left_out.values()))}"
            )
        deciding = [m for m in self.ledger.measurements if m.kept and (m.stage == "final") == bool(rounds)]
        busy = sum(not is_quiet(m) for m in deciding) >= 0.25 * len(deciding)
        rounds = rounds or [{layout: self.ledger.typical(layout) for layout in measured}]
        notes = list(self.recorder.left_out.values())
        for family in self.families:
            if family not in self.ledger and family not in self.recorder.left_out:
                notes.append(f"The budget ended before {family} was measured.")
        return Searched(tuple(self.ledger.measurements), tuple(rounds), busy, tuple(notes))

    def _nothing_measured(self) -> LayoutError:
        reasons = dict.fromkeys(self.recorder.left_out.values())
        return LayoutError(f"No layout could be measured. {' '.join(reasons)}")

    def _along_threads(self, family: Layout, axis: str) -> list[Layout]:
        """One chain with 1, 2, 3, ... threads of a kind, and with one of the others."""
        line = [a for a in self.choosable if replace(family, **{axis: getattr(a, axis)}) == a]
        return sorted(line, key=lambda layout: getattr(layout, axis))

    def _along_chains(self, family: Layout) -> list[Layout]:
        line = [a for a in self.choosable if a.threads_of_chain == 1 and reference(a) == family]
        return sorted(line, key=lambda layout: layout.chains_at_once)

    def _twice(self, layout: Layout) -> bool:
        """Measure a layout until two agree; the fastest counts, since a scan is there to rule out."""
        while len(self.ledger.seconds(layout)) < 4:
            fastest = sorted(self.ledger.seconds(layout))[:2]
            if len(fastest) == 2 and fastest[1] <= _DISAGREE * fastest[0]:
                break
            if self.recorder.take(layout, "scan", self.burst_s) is None:
                break
        return layout in self.ledger

    def _is_open(self, layout: Layout) -> bool:
        family = reference(layout)
        if family not in self.ledger:
            return False
        used = [axis for axis in _AXES if getattr(layout, axis) > 1]
        if len(used) > 1 and not all(self._helps(family, axis) for axis in used):
            return False
        return all(getattr(layout, axis) <= self._most_threads[family, axis] for axis in used)

    def _helps(self, family: Layout, axis: str) -> bool:
        """Whether one chain is faster with more threads of a kind."""
        line = [a for a in self._along_threads(family, axis) if a in self.ledger and a != family]
        return min(map(self.ledger.fastest, line), default=math.inf) < _GAIN * self.ledger.fastest(family)

    def _bound(self, layout: Layout) -> float:
        return self.job.cost(layout, least_seconds(layout, self.ledger))

    def _cost(self, layout: Layout) -> float:
        return self.job.cost(layout, self.ledger.typical(layout))

    def _doubt(self, layout: Layout) -> float:
        return self.ledger.noise() / math.sqrt(len(self.ledger.seconds(layout)))

    def _least_cost(self) -> float:
        """What the cheapest layout so far costs at most, but for noise: the least of many is least by luck."""
        return min(self._cost(a) * (1.0 + _CAUTION * self._doubt(a)) for a in self.choosable if a in self.ledger)

    def _hopeful(self, layouts: Sequence[Layout]) -> list[Layout]:
        """Keep those whose fastest time alone would make them the cheapest; the cheapest first."""
        least = self._least_cost()
        hopeful = [layout for layout in layouts if self.job.cost(layout, self.ledger.fastest(layout)) <= least]
        return sorted(hopeful, key=self._cost)


def _is_power(count: int) -> bool:
    return count & (count - 1) == 0
