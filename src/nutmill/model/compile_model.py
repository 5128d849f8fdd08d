"""`compile_model`: from what the user has, a PyMC model, a PyTensor graph or an njit density, to a `CompiledModel`."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pytensor.graph.basic import Variable

from nutmill.errors import ArgumentError, ModelError
from nutmill.model.compile_order import COMPILING, LOWERINGS, Order
from nutmill.model.garbage import seldom_collecting
from nutmill.model.graphs.densities import from_njit, from_pytensor
from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.graphs.start import without_c
from nutmill.model.lowering.interrupts import no_lost_interrupt
from nutmill.native.compiled import CompiledModel
from nutmill.native.processor import NATIVE
from nutmill.native.processor import target as find_target
from nutmill.progress.stderr import showing, unheard

_log = logging.getLogger("nutmill")


def compile_model(
    model=None,
    *,
    var_names: Sequence[str] | None = None,
    start: Mapping | None = None,
    n_dim: int | None = None,
    data: np.ndarray | tuple[np.ndarray, ...] = (),
    fuse: bool = True,
    target: str = NATIVE,
    isolate: bool = False,
    dtype: str = "float64",
    lowering: str = "nutmill",
    leave_out: bool = False,
    progressbar: bool = True,
) -> CompiledModel:
    """Compile a model to a native object, which the sampler calls.

    Parameters
    ----------
    model
        A `pm.Model` (None takes the one of the surrounding ``with``); or a scalar PyTensor graph, whose named
        inputs are the parameters; or an njit density ``f(q, gradient, data) -> logp``, which writes the
        gradient.
    var_names
        Variables of a `pm.Model` to report of each draw; None reports free variables and Deterministics.
    start
        For a PyTensor graph: initial values by input; zeros for inputs of known shape.
    n_dim
        For an njit density: the length of ``q``.
    data
        For an njit density: what it gets as ``data``, an array or a tuple of arrays.
    fuse
        Link the model into a native object of its own; False leaves it in Numba's engine, for this process alone.
    target
        The processors that the code is for: "native", this one; or a level such as "x86-64-v3", for clusters of mixed
        nodes, which all processors of that level run (v3: AVX2, since about 2015; v4: AVX-512).
    isolate
        Compile in a process of its own, which ends with all the memory that compiling took; this one keeps the code.
    dtype
        "float32" evaluates log density and gradient in single precision: arrays and products of matrices, while sums,
        single numbers, other linear algebra and all that the sampler keeps stay "float64", as are draws.
    lowering
        "nutmill" writes most operations as LLVM IR of its own, and takes PyTensor's Numba forms for the rest. "numba"
        takes these for all operations: slower to compile and often to run, maybe not to be saved, and independent of
        nutmill's forms; for checking, and for a release of PyTensor that breaks one of them.
    leave_out
        Of a `pm.Model`: observations may be left out, as `nutmill.refit` does. Data called ``is_fitted_`` and the name
        of an observed variable say which of its observations count: truth values in the shape of its log likelihood.
    progressbar
        Say on stderr what is compiled when that begins. The log of ``nutmill`` says it in any case, at level INFO.

    Returns
    -------
    CompiledModel
        Which `sample_numba` samples, and which takes new data.

    Raises
    ------
    ArgumentError, ModelError
        If the model cannot be sampled by NUTS; the message says which variable, and what to do.
    """
    if dtype not in ("float64", "float32"):
        raise ArgumentError(f'dtype must be "float64" or "float32", not {dtype!r}.')
    if lowering not in LOWERINGS:
        raise ArgumentError(f'lowering must be "nutmill" or "numba", not {lowering!r}.')
    order = Order(find_target(target), fuse, isolate)
    if (target != NATIVE or isolate) and not fuse:
        raise ModelError("Code that goes through a pointer lives in this process: leave out target= and isolate=True.")
    with showing(progressbar), COMPILING, seldom_collecting(), without_c(), no_lost_interrupt():
        is_njit = _is_njit(model)
        if is_njit and dtype != "float64":
            raise ModelError("An njit density computes in the precision that it is written in: leave out dtype=.")
        if is_njit and lowering != "nutmill":
            raise ModelError("An njit density is compiled by Numba whatever lowering= says: leave it out.")
        choices: dict[str, Any] = {"dtype": dtype, "lowering": lowering}
        if is_njit or isinstance(model, Variable):
            if leave_out:
                raise ModelError("leave_out=True is for a pm.Model, which tells observations apart: leave it out.")
            graph = _graph(model, start or {}, n_dim, data)
            return _compiled(replace(graph, **choices), order)
        found = _pymc_model(model)
        _warn_of_untransformed(found)
        if leave_out:
            from nutmill.model.graphs.pymc_model import from_pymc

            return _compiled(replace(from_pymc(found, var_names, leave_out=True), **choices), order)
        return _from_pymc(found, var_names, order, choices)


def _is_njit(model) -> bool:
    numba = sys.modules.get("numba.core.dispatcher")  # which takes seconds to import; without it nothing is of Numba's
    return numba is not None and isinstance(model, numba.Dispatcher)


def _compiled(graph: ModelGraph, order: Order, keep: Callable = lambda code: None) -> CompiledModel:
    """Compile a graph; `keep` is given the code, and returns where initial values may be kept."""
    # They bring Numba and PyTensor's forms for it, which a model whose code is known does without.
    from nutmill.model.build import compile_graph
    from nutmill.model.graph_origin import GraphOrigin

    code = compile_graph(graph, order)
    return CompiledModel(graph.describe(), code, GraphOrigin(graph, keep(code)))


def _graph(model, start: Mapping, n_dim: int | None, data) -> ModelGraph:
    if isinstance(model, Variable):
        return from_pytensor(model, start)
    if n_dim is None:
        raise ModelError("An njit density needs n_dim=, the length of its first argument.")
    return from_njit(model, n_dim, data)


def _pymc_model(model):
    import pymc  # takes seconds, which the other forms need not pay

    try:
        found = pymc.modelcontext(model)
    except TypeError as error:
        raise ModelError("There is no model: pass a pm.Model, or call this inside `with pm.Model():`.") from error
    if not isinstance(found, pymc.Model):
        raise ArgumentError(f"A model is a pm.Model, a PyTensor graph or an njit density, not {model!r}.{_hint(model)}")
    _observe_once(found)
    return found


def _warn_of_untransformed(model) -> None:
    from nutmill.model.graphs.untransformed import untransformed

    for sentence in untransformed(model):
        with unheard():
            _log.warning("%s", sentence)


def _hint(model) -> str:
    """Say what may be meant by what is no model."""
    if isinstance(model, str):
        return " A file of `nutmill compile` is read by nutmill.load; file.py:name is for the command nutmill."
    return " Call it, and pass what it returns." if callable(model) else ""


def _observe_once(model) -> None:
    """Take out of a model what `pm.sample_posterior_predictive` of PyMC 5.28 leaves in it.

    It lists each observed variable a second time, after which PyMC cannot write the log density of its own model.
    """
    observed = model.observed_RVs
    for place in reversed(range(len(observed))):
        if observed[place] in observed[:place]:
            del observed[place]


def _from_pymc(model, var_names: Sequence[str] | None, order: Order, choices: Mapping[str, Any]) -> CompiledModel:
    from nutmill.model.cache import recognition
    from nutmill.model.graphs.pymc_model import from_pymc

    # Code that is not fused is not kept either.
    stages: dict[str, float] = {}
    key = recognition.key_of(model, var_names, choices, stages) if order.fuse else None
    found = recognition.recognise(key, model, var_names, order.target, stages) if key else None
    if found is not None:
        return CompiledModel(*found)
    graph = replace(from_pymc(model, var_names), **choices)
    return _compiled(graph, order, lambda code: recognition.remember(key, model, graph, code) if key else None)
