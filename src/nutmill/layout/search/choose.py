"""Decides from paired rounds which layout to take: more threads, or another BLAS, have to win by measurement.

On a machine that others use, so have fewer chains at once than there might be: when the others leave, cores would idle.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.measurements import Interval, ratio, typical

TIE = 0.03
UNSURE_GAIN = 0.20
_ROUNDS_SURE = 3
# Twice as sure as a range of four fifths has to be of its ends: a choice that may be this much worse is "low".
_DOUBTFUL = 1.10

Confidence = Literal["high", "low"]
Round = Mapping[Layout, float]


class Choice(NamedTuple):
    """The layout to take, the next best, and how they compare."""

    # The runner-up is None where nothing else was left to compare.
    best: Layout
    runner_up: Layout | None
    margin: Interval | None  # cost of the runner-up over that of the best, from the rounds that have both
    confidence: Confidence
    notes: tuple[str, ...]  # sentences that say why


def choose(rounds: Sequence[Round], job: Job, *, busy: bool = False) -> Choice:
    """Choose a layout from paired rounds.

    Parameters
    ----------
    rounds : sequence of mappings from Layout to seconds per unit of one chain
        Layouts may be missing from some; each is compared with another in the rounds that have both.
    job : Job
        Says what the seconds of a layout cost the whole job.
    busy : bool
        Others used the machine: as after fewer than three rounds, more BLAS threads, or another library than SciPy's,
        need a gain of 20 %, and the choice is not sure. Where the time of the job counts, so do fewer chains at once.
    """
    order = ranking(rounds, job)
    leader = order[0]
    few = len(rounds) < _ROUNDS_SURE and len(order) > 1
    best = _simplest(order, rounds, job, UNSURE_GAIN if busy or few else TIE, busy and job.objective == "wall")
    rivals = [layout for layout in order if layout != best and compare(layout, best, rounds, job) is not None]
    runner_up = rivals[0] if rivals else None
    margin = None if runner_up is None else compare(runner_up, best, rounds, job)
    notes = []
    lead = None if best == leader else compare(best, leader, rounds, job)
    if lead is not None:
        of_all = None if best in rounds[-1] else _usual_cost(best, rounds, job) / _usual_cost(leader, rounds, job)
        notes.append(_why_not(leader, best, lead, of_all, unsure=(busy or few) and _is_safer(best, leader)))
    confidence: Confidence = "high"
    if busy or few or (margin is not None and margin.low * _DOUBTFUL < 1.0):
        confidence = "low"
    return Choice(best, runner_up, margin, confidence, tuple(notes))


def ranking(rounds: Sequence[Round], job: Job) -> list[Layout]:
    """Order layouts by cost, the cheapest first; what is common to all layouts of a round does not count."""
    relative: dict[Layout, list[float]] = {}
    for times in rounds:
        costs = {layout: job.cost(layout, seconds) for layout, seconds in times.items()}
        middle = float(np.median(list(costs.values())))
        for layout, cost in costs.items():
            relative.setdefault(layout, []).append(cost / middle)
    return sorted(relative, key=lambda layout: (typical(relative[layout]), simplicity(layout)))


def compare(layout: Layout, other: Layout, rounds: Sequence[Round], job: Job) -> Interval | None:
    """Give the cost of `layout` over that of `other`; None where no round has both."""
    both = [times for times in rounds if layout in times and other in times]
    if not both:
        return None
    return ratio([job.cost(layout, times[layout]) for times in both], [job.cost(other, times[other]) for times in both])


def simplicity(layout: Layout) -> tuple[int, bool, int]:
    """Order layouts by what can go wrong with them: BLAS threads, another BLAS than SciPy's, tile threads."""
    return layout.blas_threads, layout.blas is not None, layout.tile_threads


def has_won(winner: Layout, loser: Layout, rounds: Sequence[Round], job: Job, gain: float = TIE) -> bool:
    """Say whether `winner` beats a simpler layout: by the gain, and not by chance one with fewer threads or SciPy's."""
    if loser not in rounds[-1]:  # dropped, perhaps by another: not by chance, and all that is known of both counts
        return _usual_cost(loser, rounds, job) >= (1.0 + gain) * _usual_cost(winner, rounds, job)
    found = compare(loser, winner, rounds, job)
    if found is None:
        return True
    is_simpler = loser.blas_threads == 1 < winner.blas_threads or (loser.blas is None and winner.blas is not None)
    by_chance = is_simpler and found.low <= 1.0
    return found.estimate >= 1.0 + gain and not by_chance


def _usual_cost(layout: Layout, rounds: Sequence[Round], job: Job) -> float:
    return typical([job.cost(layout, times[layout]) for times in rounds if layout in times])


def _simplest(
    order: Sequence[Layout], rounds: Sequence[Round], job: Job, unsure_gain: float, more_chains: bool
) -> Layout:
    def preference(layout: Layout) -> tuple:
        return simplicity(layout), -layout.chains_at_once if more_chains else 0

    leader = order[0]
    unbeaten = [leader]
    for layout in order[1:]:
        gain = unsure_gain if _is_safer(layout, leader) else TIE
        if preference(layout) < preference(leader) and not has_won(leader, layout, rounds, job, gain):
            unbeaten.append(layout)
    return min(unbeaten, key=lambda layout: (preference(layout), order.index(layout)))


def _is_safer(layout: Layout, leader: Layout) -> bool:
    """Whether a layout is to be kept on a busy machine unless the other gains a fifth."""
    is_scipys = layout.blas is None and leader.blas is not None
    has_fewer_threads = layout.blas_threads < leader.blas_threads or layout.tile_threads < leader.tile_threads
    return has_fewer_threads or simplicity(layout) == simplicity(leader) or is_scipys


def _why_not(leader: Layout, best: Layout, lead: Interval, of_all: float | None, *, unsure: bool) -> str:
    """Say why the layout that measured fastest was not taken; `of_all`: costs in all rounds, if not all have both."""
    gain = f"{100.0 * (lead.estimate - 1.0):.0f} % ({100.0 * (lead.low - 1.0):.0f} to {100.0 * (lead.high - 1.0):.0f})"
    if of_all is not None and not unsure:
        gain += f" in the rounds that have both, and by {100.0 * (of_all - 1.0):.0f} % in all"
    need = "20 % on a machine that others use or after few rounds" if unsure else "3 %, and more than chance"
    return f"{leader} measured faster than {best} by {gain}; to be taken it needs {need}."
