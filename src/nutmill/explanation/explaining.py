"""`nutmill.explain`: what happens under the hood of a model, measured on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nutmill.errors import LayoutError
from nutmill.explanation.answers import advice, as_html, as_text
from nutmill.explanation.blas_calls import BlasCall, record_calls
from nutmill.explanation.budget import BUDGET_S, Budget
from nutmill.explanation.measured import DataFact, LibrarySpeed, Measured
from nutmill.explanation.speeds import LEAST_S, gradient_seconds, machine_speed, side_by_side
from nutmill.layout.applied import apply_layout
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology
from nutmill.native.binding import Binding
from nutmill.native.code import Code
from nutmill.native.compiled import CompiledModel
from nutmill.progress.stderr import announce, showing
from nutmill.units import duration

if TYPE_CHECKING:
    import pymc as pm

    from nutmill.model.anatomy import Operations

# Of what compiling takes, reading and rewriting is about a third; a measurement times so many gradients.
_REWRITINGS, _TIMINGS = 3.0, 20


class Explanation(Measured):
    """What was found out about a model, and what follows from it: printed, it answers the questions that people ask.

    Its fields are those of `Measured`.
    """

    __slots__ = ()

    def as_dict(self) -> dict:
        """Give all of it as plain values for JSON."""
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
            "left_out": list(self.left_out),
            "advice": advice(self),
        }

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return f"Explanation({', '.join(self.parameters)}: {duration(self.gradient_s)} a gradient)"

    def _repr_html_(self) -> str:
        return as_html(self)


def explain(
    model: pm.Model | CompiledModel | None = None, *, budget_s: float = BUDGET_S, progressbar: bool = True
) -> Explanation:
    """Say what runs when a model is sampled here: what was compiled, what calls BLAS, what bounds a gradient.

    Once the model is compiled, takes a core for up to `budget_s`, and what matters most is measured first: the
    gradient, its calls of BLAS, what this machine could reach, more BLAS threads; then a `pm.Model` is rewritten once
    more, to count its operations; other BLAS libraries; and it is compiled in single precision. What there was no
    time for is said.

    Parameters
    ----------
    model
        A `pm.Model` (None takes the one of the surrounding ``with``), or a compiled model.
    budget_s
        Seconds of measuring. The first three are measured in any case, in about a second where gradients are short.
    progressbar
        Say on stderr what is measured when that begins.

    Returns
    -------
    Explanation
        ``print`` shows it; times in seconds.

    Raises
    ------
    ArgumentError
        If the budget is no positive number of seconds.
    ModelError
        If the model cannot be compiled, or has no finite density where it starts.
    """
    budget = Budget(budget_s)
    with showing(progressbar):
        if isinstance(model, CompiledModel):
            return _explained(model, None, budget)
        from nutmill.model.compile_model import compile_model  # PyMC, which a compiled model does not need

        compiled = compile_model(model)
        return _explained(compiled, _Again(model, compiled.code), budget)


class _Again:
    """A `pm.Model` that was compiled, to be read and compiled once more."""

    def __init__(self, model: pm.Model | None, code: Code):
        self._model, self._stages = model, code.stages
        self.is_fused = code.fused
        # What comes from the cache does not say how long it took; then counting says.
        self.rewriting_s = code.stages.get("rewrite", 0.0)

    @property
    def compiling_s(self) -> float:
        """About how long compiling it anew takes."""
        known = sum(self._stages.get(name, 0.0) for name in ("rewrite", "lower", "link"))
        return known or _REWRITINGS * self.rewriting_s

    def operations(self) -> Operations | None:
        """Count them."""
        import pymc

        from nutmill.model.anatomy import operations
        from nutmill.model.graphs.pymc_model import from_pymc

        begin = time.perf_counter()
        counted = operations(from_pymc(pymc.modelcontext(self._model), None))
        self.rewriting_s = time.perf_counter() - begin
        return counted

    def in_single(self) -> CompiledModel:
        """Compile it in single precision."""
        from nutmill.model.compile_model import compile_model

        return compile_model(self._model, dtype="float32", progressbar=False)


def _explained(compiled: CompiledModel, again: _Again | None, budget: Budget) -> Explanation:
    machine = topology()
    budget.begin()
    binding, code = compiled.binding, compiled.code
    (position,) = compiled.starts(None, 1, 0, jitter=True)
    announce("Measuring the gradient")
    alone = gradient_seconds(binding, position, 1)
    calls = None
    if code.fused:
        with apply_layout(Layout(1)):
            calls = record_calls(binding, position)
    speed = machine_speed()
    further = _further(compiled, again, _Gradient(position, machine.n_cores, alone, calls), budget)
    names = [parameter.name for parameter in compiled.description.parameters]
    return Explanation(
        parameters=dict(zip(names, binding.shapes, strict=True)),
        data=_data(compiled),
        fused=code.fused,
        object_bytes=len(code.native.code),
        lowered_by=code.lowered_by(),
        python_ops=code.python_ops,
        gradient_s=alone,
        calls=calls,
        blas=_blas(),
        speed=speed,
        machine=machine,
        left_out=tuple(budget.left_out),
        **further,
    )


class _Gradient(NamedTuple):
    """What was measured in any case."""

    position: np.ndarray
    n_cores: int
    gradient_s: float
    calls: list[BlasCall] | None


def _further(compiled: CompiledModel, again: _Again | None, known: _Gradient, budget: Budget) -> dict[str, Any]:
    """Measure what there is time for, what matters most first: fields of an explanation."""
    position, n_cores, alone, calls = known
    more = tiled = counted = in_single = moves_by = None
    libraries: list[LibrarySpeed] = []
    if calls and n_cores > 1 and budget.allows("more BLAS threads", _TIMINGS * max(alone, LEAST_S)):
        more = _with_threads(compiled.binding, position, n_cores)
    has_threads = compiled.code.has_tiles and n_cores > 1
    if has_threads and budget.allows("tile threads", _TIMINGS * max(alone, LEAST_S)):
        tiled = gradient_seconds(compiled.binding, position, tile_threads=n_cores)
    if again is not None and budget.allows("its operations", again.rewriting_s):
        counted = again.operations()
    if calls and budget.allows("other BLAS libraries", 2 * _TIMINGS * alone):
        libraries = _libraries(compiled.binding, position)
    if again is not None and again.is_fused and budget.allows("float32", again.compiling_s):
        in_single, moves_by = _in_single(again.in_single(), position, compiled.logp_dlogp(position)[0])
    return {
        "operations": counted,
        "gradient_s_all_threads": more,
        "gradient_s_tile_threads": tiled,
        "gradient_s_single": in_single,
        "logp_moves_by": moves_by,
        "libraries": libraries,
    }


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


def _in_single(single: CompiledModel, position: np.ndarray, logp: float) -> tuple[float, float]:
    return gradient_seconds(single.binding, position, 1), abs(single.logp_dlogp(position)[0] - logp)


def _data(compiled: CompiledModel) -> list[DataFact]:
    given = compiled.description.arrays
    names = [array.name or "(constant)" for array in given]
    arrays = compiled.binding.record.arrays
    names += ["(computed when bound)"] * (len(arrays) - len(names))
    return [
        DataFact(name, array.shape, str(array.dtype), array.nbytes) for name, array in zip(names, arrays, strict=True)
    ]


def _blas() -> str:
    from nutmill.layout.blas.find import scipy_blas

    found = scipy_blas()
    threads = "" if found.threads is None else f", {found.threads.get()} threads unless limited"
    code = "" if found.architecture is None else f", running code for {found.architecture}"
    return f"{found.label}{code}{threads}"
