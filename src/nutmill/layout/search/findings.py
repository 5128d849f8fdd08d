"""What a sweep leaves behind: every measurement, the layout chosen from them, a table; to JSON and back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple, get_args

import numpy as np

from nutmill.errors import LayoutError
from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.choose import Confidence
from nutmill.layout.search.measurements import Interval, Ledger, Measurement, Timing


class Row(NamedTuple):
    """What a sweep knows of one layout."""

    layout: Layout
    seconds: float  # per unit of one chain, typical
    wall_s: float  # wall time of one unit of every chain
    cpu_seconds: float  # per unit of one chain, median
    n_measured: int
    is_oversubscribed: bool  # measured as a warning, not to be chosen


@dataclass(frozen=True)
class Sweep:
    """Every measurement of a sweep, and the layout chosen from them."""

    job: Job
    measurements: tuple[Measurement, ...]  # every one, in order; also those made again because others disturbed them
    best: Layout
    runner_up: Layout | None
    margin: Interval | None  # cost of the runner-up over that of the best
    # "low" on a busy machine, after too few rounds, or if the best may be a tenth worse than the runner-up.
    confidence: Confidence
    notes: tuple[str, ...]  # sentences

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
        """Give all of it as plain values for JSON."""
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


def _measurement_as_dict(measurement: Measurement) -> dict:
    return measurement._asdict() | {"layout": asdict(measurement.layout), "timing": measurement.timing._asdict()}


def _measurement_from_dict(values: Mapping) -> Measurement:
    layout, timing = Layout.from_dict(values["layout"]), Timing(**values["timing"])
    return Measurement(**dict(values) | {"layout": layout, "timing": timing})


def _checked(found: Sweep) -> None:
    """Raise ValueError unless the parts fit each other, by using them."""
    if found.confidence not in get_args(Confidence) or not found.wall_s > 0.0 or not found.table():
        raise ValueError("its parts do not fit each other")
