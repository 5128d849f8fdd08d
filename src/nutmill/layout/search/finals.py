"""The final rounds of a search: the best few in turn, in random order, until one has won or all are equal."""

from collections.abc import Sequence

import numpy as np

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.choose import TIE, Round, compare, ranking
from nutmill.layout.search.measuring import Recorder

FINALISTS = 5
_ROUNDS_LEAST, _ROUNDS_MOST = 4, 16
# Bursts twice as long as those of the scan, where the budget allows it.
_LONGER = 2.0


def race(
    recorder: Recorder, finalists: Sequence[Layout], job: Job, burst_s: float, rng: np.random.Generator
) -> list[Round]:
    """Measure finalists in rounds, each in random order; those that are beaten drop out.

    What disturbs the machine for longer than a round slows all of them alike, and so leaves their ratios alone.

    Returns
    -------
    list of mappings from Layout to seconds
        At most 16 rounds; fewer where the winner is plain or the budget is spent.
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
