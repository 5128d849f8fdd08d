"""Times a workload over candidate layouts and chooses the one that makes the whole job fastest."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, get_args

import numpy as np

from nutmill.errors import LayoutError
from nutmill.layout.burst import Bench, Workload
from nutmill.layout.candidates import Job, Objective, candidates
from nutmill.layout.choose import Confidence, choose, name
from nutmill.layout.ledger import Interval, Ledger, Measurement, Timing
from nutmill.layout.pools import Layout
from nutmill.layout.recorder import Measure, OnMeasure
from nutmill.layout.search import Found, search
from nutmill.layout.topology import Topology

# From these factors on, what the layout with more threads than cores shows is worth a sentence.
_BETTER, _WORSE = 0.9, 1.5


class Row(NamedTuple):
    """What a sweep knows of one layout.

    Attributes
    ----------
    layout : Layout
    seconds : float
        Per unit of one chain, typical.
    wall_s : float
        Wall time of one unit of every chain.
    cpu_seconds : float
        Per unit of one chain, median.
    n_measured : int
    is_oversubscribed : bool
        Measured as a warning, not to be chosen.
    """

    layout: Layout
    seconds: float
    wall_s: float
    cpu_seconds: float
    n_measured: int
    is_oversubscribed: bool


@dataclass(frozen=True)
class Sweep:
    """Every measurement of a sweep, and the layout chosen from them.

    Attributes
    ----------
    job : Job
    measurements : tuple of Measurement
        Every one, in order; also those made again because others disturbed them.
    best : Layout
    runner_up : Layout or None
    margin : Interval or None
        Cost of the runner-up over that of the best.
    confidence : str
        "low" on a busy machine, after too few rounds, or if the best may be a tenth worse than the runner-up.
    notes : tuple of str
        Sentences.
    """

    job: Job
    measurements: tuple[Measurement, ...]
    best: Layout
    runner_up: Layout | None
    margin: Interval | None
    confidence: Confidence
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Predicted time per unit of one chain under the best layout."""
        return self._ledger().typical(self.best)

    @property
    def wall_s(self) -> float:
        """Predicted wall time of one unit of every chain under the best layout."""
        return self.job.wall_s(self.best, self.seconds)

    @property
    def others(self) -> float:
        """Share of the CPU time that others took while measuring, median."""
        return float(np.median([measurement.timing.others for measurement in self.measurements]))

    def table(self) -> list[Row]:
        """Sum up each measured layout, the cheapest first."""
        ledger = self._ledger()
        return sorted((self._row(layout, ledger) for layout in ledger), key=self._cost)

    def as_dict(self) -> dict:
        """Give all of it in a form that JSON can hold."""
        return {
            "job": self.job._asdict(),
            "best": self.best.as_dict(),
            "runner_up": None if self.runner_up is None else self.runner_up.as_dict(),
            "margin": None if self.margin is None else list(self.margin),
            "confidence": self.confidence,
            "seconds_per_unit": self.seconds,
            "wall_s_per_unit": self.wall_s,
            "notes": list(self.notes),
            "measurements": [_measurement_as_dict(measurement) for measurement in self.measurements],
        }

    @classmethod
    def from_dict(cls, values: Mapping) -> "Sweep":
        """Make a sweep of what `as_dict` gave; raises LayoutError if it is not that."""
        try:
            runner_up, margin = values["runner_up"], values["margin"]
            found = cls(
                job=Job(**values["job"]),
                measurements=tuple(_measurement_from_dict(one) for one in values["measurements"]),
                best=Layout.from_dict(values["best"]),
                runner_up=None if runner_up is None else Layout.from_dict(runner_up),
                margin=None if margin is None else Interval(*map(float, margin)),
                confidence=values["confidence"],
                notes=tuple(values["notes"]),
            )
            _checked(found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LayoutError(f"This is not the record of a sweep: {error!r}.") from error
        return found

    def _ledger(self) -> Ledger:
        return Ledger(self.measurements)

    def _row(self, layout: Layout, ledger: Ledger) -> Row:
        kept = [one.timing.cpu_seconds for one in self.measurements if one.layout == layout and one.kept]
        seconds = ledger.typical(layout)
        wall_s = self.job.wall_s(layout, seconds)
        return Row(layout, seconds, wall_s, float(np.median(kept)), len(kept), self.job.is_oversubscribed(layout))

    def _cost(self, row: Row) -> float:
        return self.job.cost(row.layout, row.seconds)


def sweep(
    workload: Workload | None,
    topology: Topology,
    *,
    chains: int,
    layouts: Sequence[Layout] | None = None,
    blas: Sequence[str | None] = (None,),
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
    topology : Topology
    chains : int
        Of the whole job; a layout with fewer at once needs several waves.
    layouts : sequence of Layout, optional
        Those to choose from; by default `candidates`.
    blas : sequence of str or None
        Vendors to try if `layouts` is not given; None is SciPy's own.
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
    job = _job(chains, topology.n_cores, objective, budget_s)
    if layouts is None:
        layouts = candidates(topology, chains, blas=blas)
    bench = None
    if measure is None:
        if workload is None:
            raise LayoutError("There is no workload to measure: give one, or a `measure`.")
        bench = Bench(workload, topology)
        measure = bench.measure
    found = search(measure, layouts, job, budget_s=budget_s, clock=clock, seed=seed, on_measure=on_measure)
    notes = [*found.notes, *_probe_notes(found, job)]
    if bench is not None and not bench.sees_others:
        notes.append("What other programs do on this machine cannot be read here, so it is not allowed for.")
    return _decide(found, job, notes)


def _job(chains: int, n_cores: int, objective: str, budget_s: float) -> Job:
    if chains < 1:
        raise LayoutError(f"chains must be at least 1, not {chains!r}.")
    if objective not in get_args(Objective):
        raise LayoutError(f"objective must be one of {', '.join(get_args(Objective))}, not {objective!r}.")
    if not 0.0 < budget_s < math.inf:
        raise LayoutError(f"budget_s must be a positive number of seconds, not {budget_s!r}.")
    return Job(chains, max(1, n_cores), objective)


def _decide(found: Found, job: Job, notes: list[str]) -> Sweep:
    choice = choose(found.rounds, job, busy=found.busy)
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


def _probe_notes(found: Found, job: Job) -> list[str]:
    """Say what the layout with more threads than cores shows."""
    ledger = Ledger(found.measurements)
    notes = []
    for probe in (layout for layout in ledger if job.is_oversubscribed(layout)):
        probe_s = job.wall_s(probe, ledger.fastest(probe))
        best_s = min(job.wall_s(a, ledger.typical(a)) for a in ledger if not job.is_oversubscribed(a))
        if probe_s < _BETTER * best_s:
            notes.append(
                f"{name(probe)} is faster than all that fits on {job.n_cores} cores: there may be more cores than "
                "were found, or their hardware threads help here."
            )
        one_thread = Layout(probe.chains_at_once, 1, probe.placement, "threads", probe.blas)
        if one_thread in ledger and ledger.fastest(probe) > _WORSE * ledger.typical(one_thread):
            factor = ledger.fastest(probe) / ledger.typical(one_thread)
            notes.append(f"More threads than cores are {factor:.1f} times as slow here ({name(probe)}).")
    return notes


def _measurement_as_dict(measurement: Measurement) -> dict:
    return measurement._asdict() | {"layout": asdict(measurement.layout), "timing": measurement.timing._asdict()}


def _measurement_from_dict(values: Mapping) -> Measurement:
    layout, timing = Layout.from_dict(values["layout"]), Timing(**values["timing"])
    return Measurement(**dict(values) | {"layout": layout, "timing": timing})


def _checked(found: Sweep) -> None:
    """Raise ValueError unless the parts fit each other, by using them."""
    if found.confidence not in get_args(Confidence) or not found.wall_s > 0.0 or not found.table():
        raise ValueError("its parts do not fit each other")
