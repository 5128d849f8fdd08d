"""`nutmill.explain`: what happens under the hood of a model, measured on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nutmill.errors import LayoutError
from nutmill.explanation.blas_calls import BlasCall, watch
from nutmill.explanation.speeds import MachineSpeed, gradient_seconds, machine_speed
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology, topology
from nutmill.native.binding import Binding
from nutmill.native.compiled import CompiledModel
from nutmill.units import duration

if TYPE_CHECKING:
    import pymc as pm

    from nutmill.model.anatomy import Operations


class DataFact(NamedTuple):
    """An array that gradients may read."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    n_bytes: int


class Explanation(NamedTuple):
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

    def as_dict(self) -> dict:
        """Give all of it in a form that JSON can hold."""
        from nutmill.explanation.explanation import advice

        return self._asdict() | {
            "data": [fact._asdict() for fact in self.data],
            "operations": None if self.operations is None else self.operations._asdict(),
            "calls": None if self.calls is None else [call._asdict() for call in self.calls],
            "speed": self.speed._asdict(),
            "machine": self.machine.as_dict(),
            "n_dim": self.n_dim,
            "data_bytes": self.data_bytes,
            "blas_share": self.blas_share,
            "blas_flops": self.blas_flops,
            "least_s": self.least_s,
            "advice": advice(self),
        }

    def __str__(self) -> str:
        from nutmill.explanation.explanation import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"Explanation({', '.join(self.parameters)}: {duration(self.gradient_s)} a gradient)"

    def _repr_html_(self) -> str:
        from nutmill.explanation.explanation import as_html

        return as_html(self)


def explain(model: pm.Model | CompiledModel | None = None) -> Explanation:
    """Say what runs when a model is sampled here: what was compiled, what calls BLAS, what bounds a gradient.

    Takes a few seconds and one core. A `pm.Model` is rewritten once more, to count its operations, and compiled in
    single precision, too.

    Parameters
    ----------
    model
        A `pm.Model` (None takes the one of the surrounding ``with``), or a compiled model.

    Raises
    ------
    ModelError
        If the model cannot be compiled, or has no finite density where it starts.
    """
    counted = single = None
    if not isinstance(model, CompiledModel):
        from nutmill.model.compile_model import compile_model  # PyMC, which a compiled model does not need

        compiled = compile_model(model)
        single = compile_model(model, dtype="float32") if compiled.code.fused else None
        counted = _operations(model)
    else:
        compiled = model
    return _measured(compiled, single, counted)


def _measured(compiled: CompiledModel, single: CompiledModel | None, counted: Operations | None) -> Explanation:
    machine = topology()
    binding, code = compiled.binding, compiled.code
    (position,) = compiled.starts(None, 1, 0, jitter=True)
    alone = gradient_seconds(binding, position, 1)
    calls = None
    if code.fused:
        with Layout(1).applied():
            calls = watch(binding, position)
    more = _with_threads(binding, position, machine.n_cores) if calls and machine.n_cores > 1 else None
    in_single, moves_by = _in_single(single, position, compiled.logp_dlogp(position)[0])
    names = [parameter.name for parameter in compiled.description.parameters]
    return Explanation(
        parameters=dict(zip(names, binding.shapes, strict=True)),
        data=_data(compiled),
        fused=code.fused,
        object_bytes=len(code.native.code),
        lowered_by=code.lowered_by(),
        python_ops=code.python_ops,
        operations=counted,
        gradient_s=alone,
        gradient_s_all_threads=more,
        gradient_s_single=in_single,
        logp_moves_by=moves_by,
        calls=calls,
        blas=_blas(),
        speed=machine_speed(),
        machine=machine,
    )


def _with_threads(binding: Binding, position: np.ndarray, count: int) -> float | None:
    try:
        return gradient_seconds(binding, position, count)
    except LayoutError:  # more than the library can have
        return None


def _in_single(
    single: CompiledModel | None, position: np.ndarray, logp: float
) -> tuple[float, float] | tuple[None, None]:
    if single is None:
        return None, None
    return gradient_seconds(single.binding, position, 1), abs(single.logp_dlogp(position)[0] - logp)


def _data(compiled: CompiledModel) -> list[DataFact]:
    given = compiled.description.arrays
    names = [array.name or "(constant)" for array in given]
    arrays = compiled.binding.record.arrays
    names += ["(computed when bound)"] * (len(arrays) - len(names))
    return [
        DataFact(name, array.shape, str(array.dtype), array.nbytes) for name, array in zip(names, arrays, strict=True)
    ]


def _operations(model: pm.Model | None) -> Operations | None:
    import pymc

    from nutmill.model.anatomy import operations
    from nutmill.model.graphs.pymc_model import from_pymc

    return operations(from_pymc(pymc.modelcontext(model), None))


def _blas() -> str:
    from nutmill.layout.blas.find import scipy_blas

    found = scipy_blas()
    threads = "" if found.threads is None else f", {found.threads.get()} threads unless limited"
    return f"{found.label}{threads}"
