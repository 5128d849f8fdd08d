"""From a PyTensor graph, or an njit density, to a `ModelGraph`."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, explicit_graph_inputs
from pytensor.tensor.type import TensorType

from nutmill.errors import ArgumentError, ModelError
from nutmill.model.graphs.graph import (
    GraphArray,
    GraphParameter,
    ModelGraph,
    Node,
    Terms,
    lift,
    open_input,
    parameter_input,
)
from nutmill.model.graphs.stacking import stacked
from nutmill.native.newdata import without_gaps


def from_pytensor(logp: Variable, start: Mapping[Variable | str, object]) -> ModelGraph:
    """Read the graph of a scalar: its inputs are the parameters, all of the real line.

    `start` has initial values of inputs, by variable or name; they are zeros where the input's shape is known. Raises
    ModelError if there is no input, an input has no name or is not of floating point, or a start is missing.
    """
    inputs = [v for v in explicit_graph_inputs([logp]) if not isinstance(v, Constant)]
    if not inputs:
        raise ModelError("The log density has no inputs, so there is nothing to sample.")
    names = [v.name for v in inputs if v.name is not None]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ModelError(f"The log density has two inputs called {twice[0]}: give each a name of its own.")
    values = [_start_value(v, {getattr(k, "name", k): value for k, value in start.items()}) for v in inputs]
    (lifted,), arrays = lift(stacked([logp], lambda _: False), {v: v.name for v in _shared(logp)}, set())
    variables = [parameter_input(v.type, v.name) for v in inputs]
    casts = {old: pt.cast(new, old.dtype) for old, new in zip(inputs, variables, strict=True)}
    return ModelGraph(
        parameters=tuple(GraphParameter(v.name, v, v.name) for v in variables),
        arrays=tuple(arrays),
        logp=clone_replace([lifted], casts, rebuild_strict=False)[0],
        expanded={v.name: Node(v, None) for v in variables},
        start=tuple(pt.as_tensor(value) for value in values),
        terms=lambda: Terms(arrays, {"logp": lifted}),
        point_variables=lambda: inputs,
        start_given=lambda given: _given(inputs, values, given),
    )


def from_njit(density: Callable, n_dim: int, data: np.ndarray | Sequence[np.ndarray]) -> ModelGraph:
    """Describe an njit density `f(q, gradient, data) -> logp`, which writes (n_dim,) values into `gradient`.

    `n_dim` is the length of `q`. `data` are an array, or a tuple of arrays; the density gets the same.
    """
    if isinstance(n_dim, bool) or int(n_dim) != n_dim or n_dim < 1:
        raise ArgumentError(f"n_dim must be the number of values of the density, at least 1, not {n_dim!r}.")
    given = {"data": data} if isinstance(data, np.ndarray) else {f"data_{i}": a for i, a in enumerate(data)}
    named = {name: without_gaps(name, array, observed=False) for name, array in given.items()}
    arrays = [GraphArray(name, pt.as_tensor(array).type(name), array, False) for name, array in named.items()]
    q = pt.vector("q", dtype="float64")
    zeros = np.zeros(int(n_dim))
    return ModelGraph(
        parameters=(GraphParameter("q", q, "q"),),
        arrays=tuple(a._replace(variable=open_input(a.variable.type, a.name)) for a in arrays),
        logp=None,
        expanded={"q": Node(q, None)},
        start=(pt.as_tensor(zeros),),
        start_given=lambda given: _given([q], [zeros], given),
        native_density=density,
        data_is_tuple=not isinstance(data, np.ndarray),
    )


def _given(inputs: Sequence[Variable], values: Sequence[np.ndarray], given: Mapping[str, object]):
    chosen = [given.get(v.name, value) for v, value in zip(inputs, values, strict=True)]
    return [], [pt.as_tensor(np.asarray(value, dtype=np.float64)) for value in chosen]


def _start_value(variable: Variable, start: Mapping[str, object]) -> np.ndarray:
    if variable.name is None or not isinstance(variable.type, TensorType):
        raise ModelError(f"Every input of the log density needs a name; {variable} of type {variable.type} has none.")
    if not variable.type.dtype.startswith("float"):
        raise ModelError(f"The input {variable.name} is {variable.type.dtype}; NUTS needs floating point.")
    if variable.name in start:
        return np.asarray(start[variable.name], dtype=np.float64)
    if None in variable.type.shape:
        raise ModelError(
            f"The shape of the input {variable.name} is open: pass start={{{variable.name!r}: value}} to "
            "compile_model, or give the variable a static shape."
        )
    return np.zeros(variable.type.shape)


def _shared(logp: Variable) -> list[Variable]:
    return [v for v in ancestors([logp]) if isinstance(v, SharedVariable) and v.name]
