"""What an explanation rests on: facts of a model and of the machine, as they were counted and timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nutmill.explanation.blas_calls import BlasCall
from nutmill.explanation.speeds import MachineSpeed
from nutmill.layout.machine.topology import Topology

if TYPE_CHECKING:
    from nutmill.model.anatomy import Operations


class DataFact(NamedTuple):
    """An array that gradients may read."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    n_bytes: int


class LibrarySpeed(NamedTuple):
    """What a model takes with a BLAS library, one thread each."""

    label: str  # name and version
    blas: str | None  # as `Layout.blas` names it; None for SciPy's
    architecture: str | None  # whose processors' code it runs here
    # CPU time of the thread, which other programs disturb less than the clock's; measured in turn with the others.
    gradient_s: float
    calls: list[BlasCall]  # what one gradient calls, by the clock


class Measured(NamedTuple):
    """What was found out about a model; times in seconds."""

    parameters: dict[str, tuple[int, ...]]  # shape of each parameter on the unconstrained scale
    data: list[DataFact]  # of the model, and what was computed of them when they were bound
    fused: bool  # one native object holds the model and the sampler; else the model is called through a pointer
    object_bytes: int  # size of that object
    # Who wrote the operations as native code: nutmill, PyTensor's Numba forms of some or of all, or Numba.
    lowered_by: str
    python_ops: tuple[str, ...]  # operations that run in Python
    operations: Operations | None  # what the graph is made of; None if there is no graph at hand
    gradient_s: float  # of density and gradient, with one BLAS thread
    # The same with a BLAS thread on each usable core; None where no BLAS is called, there is one core, or BLAS cannot
    # have so many threads.
    gradient_s_all_threads: float | None
    # The same in single precision, with one BLAS thread; None if there is no graph at hand, or `fused` is false.
    gradient_s_single: float | None
    logp_moves_by: float | None  # difference of the log density in single precision, where the model starts
    calls: list[BlasCall] | None  # what one gradient calls, with one BLAS thread; None if it could not be watched
    blas: str  # the library behind SciPy, with its version and its threads unless limited
    speed: MachineSpeed
    machine: Topology
    # The BLAS libraries of this machine, SciPy's first; none where no BLAS is called, or the model runs through a
    # pointer.
    libraries: list[LibrarySpeed]
    # One evaluation with a tile thread on each usable core; None where rows do not go in tiles, or there is one core.
    gradient_s_tile_threads: float | None = None
    left_out: tuple[str, ...] = ()  # what was not measured for want of time

    @property
    def n_dim(self) -> int:
        """Number of unconstrained values."""
        return sum(int(np.prod(shape)) for shape in self.parameters.values())

    @property
    def data_bytes(self) -> int:
        """Bytes of all arrays that gradients may read."""
        return sum(fact.n_bytes for fact in self.data)

    @property
    def blas_share(self) -> float:
        """Share of the gradient's time that is spent within BLAS and LAPACK."""
        return min(sum(call.seconds for call in self.calls or ()) / self.gradient_s, 1.0)

    @property
    def blas_flops(self) -> float:
        """Floating-point operations of BLAS and LAPACK in one gradient."""
        return sum(call.flops for call in self.calls or ())

    @property
    def private_cache_bytes(self) -> int:
        """Size of the largest cache that a core has for itself; 0 if it is not known."""
        own = [cache.size_bytes for cache in self.machine.caches if len(cache.cpus) <= len(self.machine.cores[0])]
        return max(own, default=0)

    @property
    def least_s(self) -> float:
        """The least time that this machine's measured speeds allow: for the flops of BLAS, or for reading the data."""
        reading = self.data_bytes / self.speed.bytes_per_s if self.data_bytes > self.private_cache_bytes else 0.0
        return max(reading, self.blas_flops / self.speed.flops_per_s)
