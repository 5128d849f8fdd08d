"""Measures every layout equally often: what the search of `nutmill tune` is held against."""

import math
import time
from collections.abc import Sequence

import numpy as np

from nutmill.errors import LayoutError
from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.findings import Sweep
from nutmill.layout.search.measuring import Measure, Recorder, is_quiet
from nutmill.layout.search.search import Searched
from nutmill.layout.search.sweep import decided

_BURST_S = 0.1


def exhaustive_sweep(measure: Measure, layouts: Sequence[Layout], job: Job, *, repeats: int) -> Sweep:
    """Measure every layout in each of `repeats` rounds, in random order, with bursts of a tenth of a second.

    Raises
    ------
    LayoutError
        No layout could be measured.
    """
    recorder = Recorder(measure, time.perf_counter, math.inf, None)
    rng = np.random.default_rng(0)
    rounds = []
    for number in range(max(1, repeats)):
        times = {}
        for index in rng.permutation(len(layouts)):
            seconds = recorder.take(layouts[index], "final", _BURST_S, number)
            if seconds is not None and not job.is_oversubscribed(layouts[index]):
                times[layouts[index]] = seconds
        rounds.append(times)
    if not all(rounds):
        raise LayoutError(f"No layout could be measured. {' '.join(dict.fromkeys(recorder.left_out.values()))}")
    measurements = tuple(recorder.ledger.measurements)
    busy = sum(not is_quiet(one) for one in measurements) >= 0.25 * len(measurements)
    return decided(Searched(measurements, tuple(rounds), busy, tuple(recorder.left_out.values())), job)
