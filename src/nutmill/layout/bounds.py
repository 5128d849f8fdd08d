"""What a layout that was not measured can hardly beat, from those that were: so most need no measurement."""

import math
from dataclasses import replace

from nutmill.layout.ledger import Ledger
from nutmill.layout.pools import Layout


def least_seconds(layout: Layout, ledger: Ledger) -> float:
    """Return seconds per unit of one chain that `layout` will hardly go below.

    Rests on three facts: more company makes no chain faster; BLAS threads help a chain among others no more than
    they help it alone; and between two numbers of threads that were measured nothing unexpected happens.

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
    """Return one chain with one BLAS thread, of the same vendor and placement."""
    return replace(layout, chains_at_once=1, blas_threads=1, mode="threads")


def _alone(layout: Layout, ledger: Ledger) -> float:
    """Seconds of one chain with as many BLAS threads: as measured, or on a line between, of logarithms."""
    measured = {
        other.blas_threads: ledger.fastest(other)
        for other in ledger
        if other.chains_at_once == 1 and _same_library(other, layout)
    }
    threads = layout.blas_threads
    below = max(b for b in measured if b <= threads)
    above = min((b for b in measured if b >= threads), default=None)
    if above is None:  # as if threads helped perfectly from there on
        return measured[below] * below / threads
    if above == below:
        return measured[below]
    share = math.log(threads / below) / math.log(above / below)
    return measured[below] ** (1.0 - share) * measured[above] ** share


def _bounds(other: Layout, layout: Layout) -> bool:
    """Whether `other` is the same with fewer chains, perhaps with one BLAS thread each."""
    same_threads = (other.blas_threads, other.mode) == (layout.blas_threads, layout.mode)
    return (
        other.chains_at_once <= layout.chains_at_once
        and _same_library(other, layout)
        and (same_threads or other.blas_threads == 1)
    )


def _same_library(one: Layout, other: Layout) -> bool:
    return (one.blas, one.placement) == (other.blas, other.placement)
