"""Which layouts are worth trying for a number of chains on a machine, and what each costs the whole job."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from nutmill.errors import LayoutError
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology

Objective = Literal["wall", "core_hours"]


class Job(NamedTuple):
    """What is to be run, on how much of a machine, and what is to be saved."""

    chains: int  # all chains of the job, not those that run at once
    n_cores: int  # how many threads may compute at the same time
    # "wall": the time until the last chain is done; "core_hours": that time times the cores held by the layout.
    objective: Objective = "wall"

    def waves(self, layout: Layout) -> int:
        """How many times in a row the layout has to be filled with chains."""
        return math.ceil(self.chains / layout.chains_at_once)

    def wall_s(self, layout: Layout, seconds: float) -> float:
        """Wall time of one unit of every chain, when a unit of one chain takes `seconds` under this layout."""
        return self.waves(layout) * seconds

    def cost(self, layout: Layout, seconds: float) -> float:
        """Give what the objective wants small, for one unit of every chain."""
        cores = layout.n_threads if self.objective == "core_hours" else 1
        return cores * self.wall_s(layout, seconds)

    def is_oversubscribed(self, layout: Layout) -> bool:
        """Say whether the layout computes with more threads than there are cores."""
        return layout.n_threads > self.n_cores


def candidates(
    topology: Topology,
    chains: int,
    *,
    blas: Sequence[str | None] = (None,),
    most_blas_threads: int | None = None,
    calls_blas: bool = True,
    has_tiles: bool = False,
) -> list[Layout]:
    """List the layouts worth trying, the simplest first.

    Chains at once come from ``ceil(chains / waves)`` alone: any other number needs as many waves as a smaller one
    of the list. The layout of all chains with two BLAS threads each is there even where it needs more threads than
    there are cores: a sweep measures it as a warning and never chooses it.

    Parameters
    ----------
    chains : int
        Chains of the whole job.
    blas : sequence of str or None
        Vendors to try, as in `Layout.blas`; None is SciPy's own.
    most_blas_threads : int, optional
        What the BLAS was built for; OpenBLAS wheels stop at 64.
    calls_blas, has_tiles : bool
        Whether BLAS threads, or tile threads, can make a difference.
    """
    if chains < 1:
        raise LayoutError(f"chains must be at least 1, not {chains!r}.")
    n_cores = max(1, topology.n_cores)
    most = min(n_cores, most_blas_threads or n_cores) if calls_blas else 1
    points = {
        (b, t, c)
        for c in chain_counts(chains, n_cores)
        for b in thread_counts(n_cores // c, most)
        for t in thread_counts(n_cores // c, n_cores if has_tiles else 1)
    }
    if calls_blas and (most_blas_threads is None or most_blas_threads >= 2):
        points.add((2, 1, min(chains, n_cores)))
    return [Layout(c, b, vendor, t) for vendor in blas for b, t, c in sorted(points)]


def chain_counts(chains: int, n_cores: int) -> list[int]:
    """Numbers of chains at once that fill 1, 2, 3, ... waves as evenly as can be, increasing."""
    return sorted({at_once for waves in range(1, chains + 1) if (at_once := math.ceil(chains / waves)) <= n_cores})


def thread_counts(per_chain: int, most: int) -> list[int]:
    """Threads for a chain that has `per_chain` cores to itself: 1, 2, 3, 4, 6, 8, 12, ... and all of them."""
    limit = min(per_chain, most)
    powers = [2**k for k in range(limit.bit_length())]
    return sorted({b for power in powers for b in (power, power * 3 // 2) if 1 <= b <= limit} | {limit})
