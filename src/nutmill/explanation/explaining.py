"""`nutmill.explain`: what happens under the hood of a model, measured on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nutmill.errors import LayoutError
from nutmill.explanation.answers import advice, as_html, as_text
from nutmill.explanation.blas_calls import record_calls
from nutmill.explanation.measured import DataFact, LibrarySpeed, Measured
from nutmill.explanation.speeds import gradient_seconds, machine_speed, side_by_side
from nutmill.layout.applied import apply_layout
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology
from nutmill.native.binding import Binding
from nutmill.native.compiled import CompiledModel
from nutmill.units import duration

if TYPE_CHECKING:
    import pymc as pm

    from nutmill.model.anatomy import Operations


class Explanation(Measured):
    """What was found out about a model, and what follows from it: printed, it answers the questions that people ask.

    Its fields are those of `Measured`.
    """

    __slots__ = ()

    def as_dict(self) -> dict:
        """Give all of it in a form that JSON can hold."""
        return self._asdict() | {
            "data": [fact._asdict() for fact in self.data],
            "operations": None if self.operations is None else self.operations._asdict(),
            "calls": None if self.calls is None else [call._asdict() for call in self.calls],
            "speed": self.speed._asdict(),
            "machine": self.machine.as_dict(),
            "libraries": [one._asdict() | {"calls": [call._asdict() for call in one.calls]} for one in self.libraries],
            "n_dim": self.n_dim,
            "data_bytes": self.data_bytes,
            "blas_share": self.blas_share,
            "blas_flops": self.blas_flops,
            "least_s": self.least_s,
            "advice": advice(self),
        }

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return f"Explanation({', '.join(self.parameters)}: {duration(self.gradient_s)} a gradient)"

    def _repr_html_(self) -> str:
        return as_html(self)


def explain(model: pm.Model | CompiledModel | None = None) -> Explanation:
    """Say what runs when a model is sampled here: what was compiled, what calls BLAS, what bounds a gradient.

    Takes a few seconds and one core. A `pm.Model` is rewritten once more, to count its operations, and compiled in
    single precision, too. If the model calls BLAS, every library of it that is found is loaded and measured.

    Parameters
    ----------
    model
        A `pm.Model` (None takes the one of the surrounding ``with``), or a compiled model.

    Returns
    -------
    Explanation
        ``print`` shows it; times in seconds.

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
    return _explained(compiled, single, counted)


def _explained(compiled: CompiledModel, single: CompiledModel | None, counted: Operations | None) -> Explanation:
    machine = topology()
    binding, code = compiled.binding, compiled.code
    (position,) = compiled.starts(None, 1, 0, jitter=True)
    alone = gradient_seconds(binding, position, 1)
    calls = None
    if code.fused:
        with apply_layout(Layout(1)):
            calls = record_calls(binding, position)
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
        libraries=_libraries(binding, position) if calls else [],
    )


def _libraries(binding: Binding, position: np.ndarray) -> list[LibrarySpeed]:
    """Measure the gradient, and each of its calls, with every BLAS library of this machine."""
    from nutmill.layout.blas.find import find_blas
    from nutmill.layout.blas.identity import libraries_to_try

    known, _ = libraries_to_try()
    calls, bound = [], []
    for one in known:
        with apply_layout(Layout(1, blas=one.blas)):
            address = find_blas(one.blas).address
            calls.append(record_calls(binding, position, address))
            bound.append(binding.with_blas(address))
    seconds = side_by_side(bound, position)
    return [
        LibrarySpeed(one.label, one.blas, one.architecture, gradient_s, its_calls)
        for one, gradient_s, its_calls in zip(known, seconds, calls, strict=True)
    ]


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
    code = "" if found.architecture is None else f", running code for {found.architecture}"
    return f"{found.label}{code}{threads}"
