"""Times a workload over candidate layouts and chooses the one that makes the whole job fastest."""

import math
import time
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import get_args

from nutmill.errors import LayoutError
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology
from nutmill.layout.search.burst import Bench, Workload
from nutmill.layout.search.candidates import Job, Objective, candidates
from nutmill.layout.search.choose import choose
from nutmill.layout.search.findings import Sweep
from nutmill.layout.search.measurements import Ledger
from nutmill.layout.search.measuring import Measure, OnMeasure
from nutmill.layout.search.search import Searched, search

# From these factors on, what the layout with more threads than cores shows is worth a sentence.
_BETTER, _WORSE = 0.9, 1.5


def sweep(
    workload: Workload | None,
    topology: Topology,
    *,
    chains: int,
    layouts: Sequence[Layout] | None = None,
    blas: Sequence[str | None] = (None,),
    calls_blas: bool = True,
    has_tiles: bool = False,
    objective: Objective = "wall",
    budget_s: float = 20.0,
    seed: int = 0,
    measure: Measure | None = None,
    clock: Callable[[], float] = time.perf_counter,
    on_measure: OnMeasure | None = None,
) -> Sweep:
    """Measure a workload under the layouts that may be fastest, and choose one for the whole job.

    Parameters
    ----------
    workload : callable
        ``workload(worker, count)`` does `count` units of work as worker number `worker`, without the GIL; see
        `Bench`. A unit of 0.1 to 100 ms is right, such as a step of the sampler.
    chains : int
        Of the whole job; a layout with fewer at once needs several waves.
    layouts : sequence of Layout, optional
        Those to choose from; by default `candidates`.
    blas : sequence of str or None
        Vendors to try if `layouts` is not given; None is SciPy's own.
    calls_blas, has_tiles : bool
        What of the workload threads can share, if `layouts` is not given.
    objective : str
        "wall", or "core_hours" for those who pay for cores.
    budget_s : float
        No measurement begins that is not expected to end within it.
    seed : int
        Of the order of measurements.
    measure : callable, optional
        ``measure(layout, burst_s) -> Timing`` in place of threads on this machine; then `workload` is not used.
    clock : callable
        What the budget counts in.
    on_measure : callable, optional
        Called with each Measurement.

    Raises
    ------
    LayoutError
        The workload raised; the budget is too small, and says how much is needed; no layout can be had.
    """
    job = _checked_job(chains, topology.n_cores, objective, budget_s)
    if layouts is None:
        layouts = candidates(topology, chains, blas=blas, calls_blas=calls_blas, has_tiles=has_tiles)
    measure, bench = _measuring(measure, workload, topology)
    found = search(measure, layouts, job, budget_s=budget_s, clock=clock, seed=seed, on_measure=on_measure)
    return decided(found, job, sees_others=bench is None or bench.sees_others)


def _measuring(measure: Measure | None, workload: Workload | None, topology: Topology) -> tuple[Measure, Bench | None]:
    if measure is not None:
        return measure, None
    if workload is None:
        raise LayoutError("There is no workload to measure: give one, or a `measure`.")
    bench = Bench(workload, topology)
    return bench.measure, bench


def _checked_job(chains: int, n_cores: int, objective: str, budget_s: float) -> Job:
    if not isinstance(chains, Integral) or chains < 1:
        raise LayoutError(f"chains must be a whole number, at least 1, not {chains!r}.")
    if objective not in get_args(Objective):
        raise LayoutError(f"objective must be one of {', '.join(get_args(Objective))}, not {objective!r}.")
    if not 0.0 < budget_s < math.inf:
        raise LayoutError(f"budget_s must be a positive number of seconds, not {budget_s!r}.")
    return Job(chains, max(1, n_cores), objective)


def decided(found: Searched, job: Job, *, sees_others: bool = True) -> Sweep:
    """Choose from what a search has measured, and say what disturbed it.

    `sees_others` says whether what other programs do could be read.
    """
    choice = choose(found.rounds, job, busy=found.busy)
    notes = [*found.notes, *_probe_notes(found, job)]
    if not sees_others:
        notes.append("What other programs do on this machine cannot be read here, so it is not allowed for.")
    if found.busy:
        notes.append("Others used the machine while it was measured: measure again when it is quiet.")
    return Sweep(
        job=job,
        measurements=found.measurements,
        best=choice.best,
        runner_up=choice.runner_up,
        margin=choice.margin,
        confidence=choice.confidence,
        notes=(*notes, *choice.notes),
    )


def _probe_notes(found: Searched, job: Job) -> list[str]:
    """Say what the layout with more threads than cores shows."""
    ledger = Ledger(found.measurements)
    notes = []
    for probe in (layout for layout in ledger if job.is_oversubscribed(layout)):
        probe_s = job.wall_s(probe, ledger.fastest(probe))
        best_s = min(job.wall_s(a, ledger.typical(a)) for a in ledger if not job.is_oversubscribed(a))
        if probe_s < _BETTER * best_s:
            notes.append(
                f"{probe} is faster than all that fits on {job.n_cores} cores: there may be more cores than "
                "were found, or their hardware threads help here."
            )
        one_thread = Layout(probe.chains_at_once, 1, probe.blas)
        if one_thread in ledger and ledger.fastest(probe) > _WORSE * ledger.typical(one_thread):
            factor = ledger.fastest(probe) / ledger.typical(one_thread)
            notes.append(f"More threads than cores are {factor:.1f} times as slow here ({probe}).")
    return notes
