"""What a layout that was not measured can hardly beat, from those that were: so most need no measurement."""

import math
from collections.abc import Sequence
from dataclasses import replace

from nutmill.layout.layout import Layout
from nutmill.layout.search.measurements import Ledger


def least_seconds(layout: Layout, ledger: Ledger) -> float:
    """Return seconds per unit of one chain that `layout` will hardly go below.

    Rests on three facts: more company makes no chain faster; BLAS threads help a chain among others no more than
    they help it alone; and what one more thread brings falls with their number.

    Parameters
    ----------
    layout : Layout
    ledger : Ledger
        Holds the `reference` of the layout, at least.
    """
    alone = _alone(layout, ledger)
    gain = min(1.0, alone / ledger.fastest(reference(layout)))
    among_fewer = [
        ledger.fastest(other) * (1.0 if other.blas_threads == layout.blas_threads else gain)
        for other in ledger
        if _bounds(other, layout)
    ]
    return max([alone, *among_fewer])


def reference(layout: Layout) -> Layout:
    """Return one chain with one BLAS thread, of the same vendor."""
    return replace(layout, chains_at_once=1, blas_threads=1)


def _alone(layout: Layout, ledger: Ledger) -> float:
    """Seconds of one chain with as many BLAS threads: as measured, or at least."""
    points = sorted(
        (other.blas_threads, ledger.fastest(other))
        for other in ledger
        if other.chains_at_once == 1 and other.blas == layout.blas
    )
    return dict(points).get(layout.blas_threads) or _on_curve(layout.blas_threads, points)


def _on_curve(threads: int, points: Sequence[tuple[int, float]]) -> float:
    """Bound a curve that is convex on logarithmic axes, and falls at most as fast as threads are added.

    Such a curve lies above each line through two of its points where that goes on beyond them.
    """
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
    """Whether `other` is the same with fewer chains, perhaps with one BLAS thread each."""
    return (
        other.chains_at_once <= layout.chains_at_once
        and other.blas == layout.blas
        and other.blas_threads in (1, layout.blas_threads)
    )
