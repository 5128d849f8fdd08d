"""Machines that exist as formulas: seconds per unit of a layout, noise, other users, a clock of their own."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nutmill.layout.layout import Layout
from nutmill.layout.search.measurements import Timing

WARM_UP_S = 0.05


class Kind(NamedTuple):
    """A workload on a kind of machine.

    Attributes
    ----------
    serial_s : float
        Seconds per unit, one chain with one BLAS thread on an idle machine.
    parallel : float
        Share of them that BLAS threads divide among themselves.
    sync : float
        Cost of each further BLAS thread, as a share of `serial_s`.
    contention : float
        How much each further busy core slows all others.
    bandwidth : float
        Share of the cores at which the memory is saturated.
    shared_pool : float
        How much each further chain slows those that share one pool of BLAS threads.
    far : float
        Factor for a chain whose BLAS threads need more than one of the two NUMA nodes.
    tiles : float
        Share of `serial_s` that tile threads divide among themselves.
    collapse : float
        How badly threaded BLAS calls take to more threads than cores; -0.3 where SMT siblings help.
    """

    serial_s: float
    parallel: float
    sync: float = 0.0
    contention: float = 0.0
    bandwidth: float = math.inf
    shared_pool: float = 0.0
    far: float = 1.0
    collapse: float = 8.0
    tiles: float = 0.0


KINDS = {
    "elementwise": Kind(5e-4, 0.0, contention=0.002),
    "gp 200": Kind(1e-3, 0.8, sync=0.03, contention=0.001, shared_pool=0.3),
    "gp 1000": Kind(8e-2, 0.97, sync=0.001, contention=0.002, shared_pool=0.1),
    "regression": Kind(5e-3, 0.6, sync=0.002, contention=0.001, bandwidth=0.2, shared_pool=0.05),
    "numa": Kind(2e-2, 0.97, sync=0.002, contention=0.001, shared_pool=0.02, far=1.8),
    "smt": Kind(2e-3, 0.9, sync=0.01, contention=0.001, shared_pool=0.2, collapse=-0.3),
}
WITH_TILES = {
    "tiles": Kind(2e-3, 0.0, contention=0.002, tiles=0.95),
    "tiles and blas": Kind(1e-2, 0.5, sync=0.002, contention=0.001, shared_pool=0.02, tiles=0.45),
    "tiles, narrow": Kind(3e-3, 0.0, contention=0.001, bandwidth=0.2, tiles=0.95),
}
CORES = (8, 64, 128)


def seconds_per_unit(kind: Kind, n_cores: int, layout: Layout) -> float:
    """Give the true time per unit of one chain."""
    c, b, t = layout.chains_at_once, layout.blas_threads, layout.tile_threads
    used = c * max(b if kind.parallel > 0.0 else 1, t if kind.tiles > 0.0 else 1)
    seconds = kind.serial_s * (1.0 - kind.parallel + kind.parallel / b + kind.sync * (b - 1))
    seconds -= kind.serial_s * kind.tiles * (1.0 - 1.0 / t)
    seconds *= 1.0 + kind.contention * (used - 1)
    seconds *= max(1.0, used / (kind.bandwidth * n_cores))
    seconds *= 1.0 + 0.2 * min(1.0, used / n_cores)  # all cores busy: no turbo
    if b > 1 and c > 1:
        seconds *= 1.0 + kind.shared_pool * (c - 1)
    if b > n_cores // 2 > 1:
        seconds *= kind.far
    over = max(1.0, c * max(b, t) / n_cores)
    return seconds * over * (1.0 + kind.collapse * (over - 1.0) / over)


class Machine:
    """A machine to plug into a search: `measure` and `clock`.

    Parameters
    ----------
    seconds : callable
        ``seconds(layout)``, the true time per unit.
    noise : float
        Standard deviation of the logarithm of one measurement; one in twenty is slower still, by 100 % or so.
    busy_share, busy_s : float
        How much of the time other users take CPUs, and for how long at a time; then threaded layouts suffer most.
    """

    def __init__(
        self, seconds: Callable[[Layout], float], *, noise=0.0, seed=0, busy_share=0.0, busy_s=2.0, start_s=0.0
    ):
        self.seconds, self.noise, self.busy_share, self.busy_s = seconds, noise, busy_share, busy_s
        self.now_s = start_s
        self.n_measured = 0
        self._rng = np.random.default_rng(seed)
        self._busy, self._changes_s = False, start_s

    def clock(self) -> float:
        return self.now_s

    def measure(self, layout: Layout, burst_s: float) -> Timing:
        true_s = self.seconds(layout)
        self.n_measured += 1
        self.now_s += WARM_UP_S + max(burst_s, true_s) + true_s
        others = self._others()
        wild = self._rng.exponential(1.0) if self.noise > 0.0 and self._rng.random() < 0.05 else 0.0
        slowed = 1.0 + self._busy * others * (0.3 if layout.blas_threads == 1 else 3.0)
        found = true_s * math.exp(self._rng.normal(0.0, self.noise)) * (1.0 + wild) * slowed
        return Timing(found, found * layout.blas_threads, others)

    def _others(self) -> float:
        """Share of the CPUs that other users take: now and then for a while."""
        while self.now_s >= self._changes_s:
            self._busy = self._rng.random() < self.busy_share
            self._changes_s += self._rng.exponential(self.busy_s)
        return self._rng.uniform(0.15, 0.6) if self._busy else self._rng.uniform(0.0, 0.05)
