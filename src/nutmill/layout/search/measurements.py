"""Every measurement of a sweep, what is typical of each layout and how sure that is; bounds of those not measured."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nutmill.layout.layout import Layout

# Between two and two values of the normal distribution four fifths lie within this many standard deviations.
_Z_80 = 1.2816


class Timing(NamedTuple):
    """What one measurement found."""

    seconds: float  # wall time per unit of one chain while the layout's chains ran; the median of its workers
    cpu_seconds: float  # CPU time of the whole process per unit of one chain, with that of BLAS threads that only wait
    others: float = 0.0  # share of the CPU time of the usable CPUs that other processes took meanwhile, 0 to 1


class Measurement(NamedTuple):
    """One measurement of a sweep."""

    layout: Layout
    timing: Timing
    burst_s: float  # how long each worker was to compute
    stage: str  # "library", "scan", "grid", "halving", "final" or "probe"
    round: int  # within the stage
    at_s: float  # when it ended, since the sweep began
    kept: bool = True  # False where others disturbed it so that it was made again


class Interval(NamedTuple):
    """An estimate of a ratio, and the range that holds the true one in about four cases of five."""

    estimate: float
    low: float
    high: float


class Ledger:
    """The measurements so far, in order, and by layout."""

    def __init__(self, measurements: Iterable[Measurement] = ()):
        self.measurements: list[Measurement] = []
        self._seconds: dict[Layout, list[float]] = {}
        self._typical: dict[Layout, float] = {}
        self._noise: float | None = None
        for measurement in measurements:
            self.add(measurement)

    def add(self, measurement: Measurement) -> None:
        """Take in one more."""
        self.measurements.append(measurement)
        if measurement.kept:
            self._seconds.setdefault(measurement.layout, []).append(measurement.timing.seconds)
            self._typical.pop(measurement.layout, None)
            self._noise = None

    def __contains__(self, layout: Layout) -> bool:
        return layout in self._seconds

    def __iter__(self) -> Iterator[Layout]:
        return iter(self._seconds)

    def seconds(self, layout: Layout) -> list[float]:
        """Return what was measured and kept for a layout, in order."""
        return self._seconds.get(layout, [])

    def typical(self, layout: Layout) -> float:
        """Return the usual time per unit of a layout that was measured."""
        if layout not in self._typical:
            self._typical[layout] = typical(self._seconds[layout])
        return self._typical[layout]

    def fastest(self, layout: Layout) -> float:
        """Return the least time per unit that was measured: optimistic, since other programs only add time."""
        return min(self._seconds[layout])

    def noise(self) -> float:
        """Return the typical relative deviation of one measurement, from those of the same layout; at least 2 %."""
        if self._noise is None:
            logs = [np.log(values) for values in self._seconds.values() if len(values) > 1]
            differences = np.concatenate([np.abs(np.diff(values)) for values in logs]) if logs else np.array([0.1])
            self._noise = max(0.02, float(np.median(differences)) / (0.6745 * math.sqrt(2.0)))
        return self._noise


def typical(seconds: Sequence[float]) -> float:
    """Return the middle of positive values: the median of the geometric means of all pairs (Hodges and Lehmann).

    One wild value of eight does no more harm than to a median, and it needs a third fewer values to be as sure.
    """
    return float(np.exp(np.median(_pair_means(np.log(seconds)))))


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """Compare paired times: the typical ratio and its range of 80 % (Wilcoxon's, no shape of noise assumed).

    Both (n,) are positive and were measured in the same rounds.
    """
    means = np.sort(_pair_means(np.log(numerators) - np.log(denominators)))
    n = len(numerators)
    spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
    cut = max(0, math.floor(len(means) / 2.0 - _Z_80 * spread))
    return Interval(*(float(np.exp(value)) for value in (np.median(means), means[cut], means[-1 - cut])))


def _pair_means(values: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(len(values))
    return (values[first] + values[second]) / 2.0


def least_seconds(layout: Layout, ledger: Ledger) -> float:
    """Return seconds per unit of one chain that `layout` will hardly go below.

    Rests on four facts: more company makes no chain faster; threads help a chain among others no more than they help
    it alone; what one more thread brings falls with their number; and BLAS and tiles are parts of the work that have
    their turns, so that what threads save of one they do not save of the other. The ledger holds the `reference` of
    the layout, at least.
    """
    alone = _alone(layout, ledger)
    gain = min(1.0, alone / ledger.fastest(reference(layout)))
    among_fewer = [
        ledger.fastest(other) * (1.0 if _threads(other) == _threads(layout) else gain)
        for other in ledger
        if _bounds(other, layout)
    ]
    return max([alone, *among_fewer])


def reference(layout: Layout) -> Layout:
    """Return one chain with one thread, with the same BLAS."""
    return replace(layout, chains_at_once=1, blas_threads=1, tile_threads=1)


# How much slower a core is among busy ones: of what threads save together, both curves have that alone.
_SHARED = 1.4


def _threads(layout: Layout) -> tuple[int, int]:
    return layout.blas_threads, layout.tile_threads


def _alone(layout: Layout, ledger: Ledger) -> float:
    """Seconds of one chain with as many threads: as measured, or at least."""
    alone = {
        _threads(other): ledger.fastest(other)
        for other in ledger
        if other.chains_at_once == 1 and other.blas == layout.blas
    }
    if measured := alone.get(_threads(layout)):
        return measured
    of_blas = _on_curve(layout.blas_threads, sorted((b, seconds) for (b, t), seconds in alone.items() if t == 1))
    of_tiles = _on_curve(layout.tile_threads, sorted((t, seconds) for (b, t), seconds in alone.items() if b == 1))
    if 1 in _threads(layout):
        return of_blas if layout.tile_threads == 1 else of_tiles
    return max(of_blas + of_tiles - _SHARED * alone[1, 1], alone[1, 1] / layout.threads_of_chain)


def _on_curve(threads: int, points: Sequence[tuple[int, float]]) -> float:
    """Bound a curve that is convex on logarithmic axes, and falls at most as fast as threads are added.

    Such a curve lies above each line through two of its points where that goes on beyond them.
    """
    if threads in (measured := dict(points)):
        return measured[threads]
    below = [point for point in points if point[0] < threads]
    above = [point for point in points if point[0] > threads]
    from_below = _line(threads, below[-1], max(_slope(*below[-2:]), -1.0) if len(below) > 1 else -1.0)
    if not above:
        return from_below
    between = _line(threads, below[-1], _slope(below[-1], above[0]))
    from_above = _line(threads, above[0], _slope(*above[:2])) if len(above) > 1 else 0.0
    return min(between, max(from_below, from_above))


def _slope(one: tuple[int, float], other: tuple[int, float]) -> float:
    return math.log(other[1] / one[1]) / math.log(other[0] / one[0])


def _line(threads: int, through: tuple[int, float], slope: float) -> float:
    return through[1] * (threads / through[0]) ** slope


def _bounds(other: Layout, layout: Layout) -> bool:
    """Whether `other` is the same with fewer chains, perhaps with one thread each."""
    return (
        other.chains_at_once <= layout.chains_at_once
        and other.blas == layout.blas
        and _threads(other) in ((1, 1), _threads(layout))
    )
