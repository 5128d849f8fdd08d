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
    """What a model takes with a BLAS library, one thread each.

    Attributes
    ----------
    label : str
        Name and version.
    blas : str or None
        As `Layout.blas` names it; None for SciPy's.
    architecture : str or None
        Whose processors' code it runs here.
    gradient_s : float
        CPU time of the thread, which other programs disturb less than the clock's; measured in turn with the others.
    calls : list of BlasCall
        What one gradient calls, by the clock.
    """

    label: str
    blas: str | None
    architecture: str | None
    gradient_s: float
    calls: list[BlasCall]


class Measured(NamedTuple):
    """What was found out about a model; times in seconds.

    Attributes
    ----------
    parameters : dict of str to tuple of int
        Shape of each parameter on the unconstrained scale.
    data : list of DataFact
        Of the model, and what was computed of them when they were bound.
    fused : bool
        One native object holds the model and the sampler; else the model is called through a pointer.
    object_bytes : int
        Size of that object.
    lowered_by : str
        Who wrote the operations as native code: nutmill, PyTensor's Numba forms of some or of all, or Numba.
    python_ops : tuple of str
        Operations that run in Python.
    operations : Operations or None
        What the graph is made of; None if there is no graph at hand.
    gradient_s : float
        Of density and gradient, with one BLAS thread.
    gradient_s_all_threads : float or None
        The same with a BLAS thread on each usable core; None where no BLAS is called, there is one core, or BLAS
        cannot have so many threads.
    gradient_s_single : float or None
        The same in single precision, with one BLAS thread; None if there is no graph at hand, or `fused` is false.
    logp_moves_by : float or None
        Difference of the log density in single precision, where the model starts.
    calls : list of BlasCall or None
        What one gradient calls, with one BLAS thread; None if it could not be watched.
    blas : str
        The library behind SciPy, with its version and its threads unless limited.
    speed : MachineSpeed
    machine : Topology
    libraries : list of LibrarySpeed
        The BLAS libraries of this machine, SciPy's first; none where no BLAS is called, or the model runs through a
        pointer.
    left_out : tuple of str
        What was not measured for want of time.
    """

    parameters: dict[str, tuple[int, ...]]
    data: list[DataFact]
    fused: bool
    object_bytes: int
    lowered_by: str
    python_ops: tuple[str, ...]
    operations: Operations | None
    gradient_s: float
    gradient_s_all_threads: float | None
    gradient_s_single: float | None
    logp_moves_by: float | None
    calls: list[BlasCall] | None
    blas: str
    speed: MachineSpeed
    machine: Topology
    libraries: list[LibrarySpeed]
    left_out: tuple[str, ...] = ()

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
