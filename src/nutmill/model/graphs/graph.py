"""A model as a graph: log density of named parameters, with every array of data lifted out of it.

Data is never code. Array constants and shared variables become inputs, so that the same native object serves
every data set of the same structure, and compile time does not depend on how much data there is.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, apply_ancestors
from pytensor.tensor.extra_ops import RavelMultiIndex, UnravelIndex
from pytensor.tensor.random.op import RNGConsumerOp
from pytensor.tensor.reshape import SplitDims
from pytensor.tensor.shape import Reshape
from pytensor.tensor.type import TensorType

from nutmill.model.graphs.broadcast_lengths import with_open_lengths
from nutmill.model.graphs.few import FEW
from nutmill.model.graphs.named_dims import plain, without_named_dims
from nutmill.model.graphs.single_slices import with_single_elements
from nutmill.model.graphs.sparse_matrices import is_sparse, without_sparse
from nutmill.native import description
from nutmill.native.newdata import without_gaps

# Tag of constants that nutmill makes of what the model is.
OWN = "made_by_nutmill"

# Their last operand is a shape, whose length is the rank of what they give.
_SHAPED = (Reshape, SplitDims, UnravelIndex, RavelMultiIndex)


class GraphParameter(NamedTuple):
    """A free variable on the unconstrained scale: a piece of the flat position."""

    name: str
    variable: Variable  # float64 input of the graph
    rv_name: str  # of the constrained variable
    dims: tuple[str | None, ...] | None = None


class GraphArray(NamedTuple):
    """An array that the model reads: a constant, observed data, `pm.Data`, or the length of a dimension."""

    name: str | None  # None: a constant without a name, which `with_data` cannot replace
    variable: Variable  # input of the graph
    value: np.ndarray
    observed: bool
    is_fixed: bool = False  # the length of a dimension that is part of the code
    is_own: bool = False  # made by nutmill of what the model is: the length of a broadcast, an index of `stacking`


class Node(NamedTuple):
    """A named output of `expand`: a constrained variable or a Deterministic."""

    variable: Variable
    dims: tuple[str | None, ...] | None


class Site(NamedTuple):
    """Where the kernel may stretch a parameter by a scale of the model's: see `graphs.hierarchies.sites`."""

    parameter: int  # its number
    written: float  # the centredness of the model as it is written: 1 or 0
    # An input of the log density, of the shape of the parameter: for each element, between 0 and 1.
    centredness: Variable
    # Of the parameter's shape, as functions of all parameters, arrays and centrednesses.
    location: Variable
    log_scale: Variable
    joint: int = 0  # how its elements hang together: a kind of `GroupState.joint`


class Terms(NamedTuple):
    """The log density in its terms, by variable of the model, elements not added up; and the arrays that they read."""

    arrays: Sequence[GraphArray]
    densities: Mapping[str, Variable]


class Starting(NamedTuple):
    """How the variables of a model become parameters, for a file that knows no graph."""

    arrays: Sequence[GraphArray]  # what the graphs below read
    # Initial value of each parameter, and of its variable.
    starts: Sequence[Variable]
    usual: Sequence[Variable]
    given: Sequence[Variable]  # an input for the value of each variable
    # The parameters that have these values, and each variable's initial value where the others have these values.
    starts_given: Sequence[Variable]
    usual_given: Sequence[Variable]
    pieces: Sequence[Variable]  # an input for the value of each parameter
    # Each variable whose parameter has this value, where the others have those of `given`.
    variables_given: Sequence[Variable]


@dataclass(frozen=True)
class ModelGraph:
    """Everything that the later steps need to know of a model; no step after this one looks at PyMC."""

    parameters: tuple[GraphParameter, ...]
    arrays: tuple[GraphArray, ...]
    logp: Variable | None  # None where the density is native already, or there is none
    expanded: Mapping[str, Node]
    sites: tuple[Site, ...] = ()
    start: tuple[Variable, ...] = ()  # initial value of each parameter, as a function of the arrays
    coords: Mapping[str, description.Labels] = field(default_factory=dict)
    array_dims: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    observed: Mapping[str, Variable] = field(default_factory=dict)  # what goes in the group `observed_data`
    constant: Mapping[str, Variable] = field(default_factory=dict)  # and in `constant_data`
    pointwise: Mapping[str, Variable] = field(default_factory=dict)  # log likelihood of each observation, by variable
    terms: Callable[[], "Terms"] = lambda: Terms((), {})  # built when asked for
    point_variables: Callable[[], Sequence[Variable]] = list  # the parameters as `terms` knows them
    prior: Callable | None = None  # () -> (arrays, start), drawn from the prior where that can be
    # (values by name) -> (arrays, start), where the user gives initial values
    start_given: Callable[[Mapping[str, object]], tuple[Sequence[GraphArray], Sequence[Variable]]] = lambda _: ((), ())
    starting: Callable[[], Starting] | None = None  # None: variables are parameters
    dtype: str = "float64"  # in which the log density is evaluated; see `single`
    lowering: str = "nutmill"  # of `lowering.ways`
    native_density: Callable | None = None  # njit f(q, gradient, data) -> logp
    data_is_tuple: bool = False  # how that density takes its arrays
    source: object = None  # what the user gave; only PyMC's own tools look at it

    def computed(self) -> dict[str, Variable]:
        """Reported variables that are not simply pieces of the position."""
        pieces = [p.variable for p in self.parameters]
        return {name: node.variable for name, node in self.expanded.items() if node.variable not in pieces}

    def of_likelihood(self) -> "ModelGraph":
        """The graph that has no density, and reports the log likelihood of each observation."""
        return replace(self, logp=None, sites=(), expanded={name: Node(v, None) for name, v in self.pointwise.items()})

    def describe(self) -> description.Description:
        """Tell in plain values what is known of the model."""
        numbers = {parameter.variable: number for number, parameter in enumerate(self.parameters)}
        return description.Description(
            parameters=tuple(description.Parameter(p.name, p.rv_name, p.dims) for p in self.parameters),
            arrays=tuple(
                description.DataArray(
                    a.name, description.owned(a.value), a.observed, _broadcast_axes(a.variable), a.is_fixed
                )
                for a in self.arrays
            ),
            reported={
                name: description.Reported(node.dims, numbers.get(node.variable))
                for name, node in self.expanded.items()
            },
            coords=self.coords,
            array_dims=self.array_dims,
            observed=tuple(self.observed),
            constant=tuple(self.constant),
        )


def _broadcast_axes(variable: Variable) -> tuple[int, ...]:
    return tuple(axis for axis, length in enumerate(variable.type.shape) if length == 1)


def lift(
    outputs: Sequence[Variable], names: Mapping[Variable, str], observed: set[Variable]
) -> tuple[list[Variable], list[GraphArray]]:
    """Replace array constants and shared variables by inputs of open length, which the graphs share.

    `names` are those of constants or shared variables that the user may replace later, `observed` those of them that
    are observations, whatever their rank. Returns the new outputs, and one `GraphArray` for each input, in the order in
    which the graph meets them. Raises ModelError if values are masked: PyMC puts a mask over NaN that `pm.set_data` is
    given.
    """
    names = {_storage(plain(variable)): name for variable, name in names.items()}
    observed = {_storage(plain(variable)) for variable in observed}
    outputs = with_single_elements(without_sparse(without_named_dims(outputs)))
    outputs, lengths = with_open_lengths(outputs, lambda v: _is_data(v, is_observed=_storage(v) in observed))
    structural = _shape_constants(outputs)
    arrays: dict[object, GraphArray] = {}
    replacements = {}
    for variable in ancestors(outputs):
        storage = _storage(variable)
        if variable in structural or not _is_data(variable, is_observed=storage in observed):
            continue
        if storage not in arrays:
            name, is_observed = names.get(storage), storage in observed
            value = without_gaps(name, held(variable), observed=is_observed)
            is_own = getattr(variable.tag, OWN, False)
            arrays[storage] = GraphArray(name, open_input(variable.type, name), value, is_observed, is_own=is_own)
        replacements[variable] = arrays[storage].variable
    lifted = with_own_constants(clone_replace(outputs, replacements, rebuild_strict=False))
    return lifted, [*arrays.values(), *(GraphArray(None, *length, observed=False, is_own=True) for length in lengths)]


def held(variable: Constant | SharedVariable) -> np.ndarray:
    """Value of a constant or shared variable: what it holds itself, maybe with a mask."""
    return np.asanyarray(variable.get_value(borrow=True) if isinstance(variable, SharedVariable) else variable.data)


def _storage(variable: Variable) -> object:
    """What holds the value: PyMC copies shared variables, and the copies share it."""
    return variable.container if isinstance(variable, SharedVariable) else variable


def open_input(type_: TensorType, name: str | None) -> Variable:
    """Make an input of the same dtype and rank; lengths are open, except those of one, which broadcast."""
    shape = tuple(1 if length == 1 else None for length in type_.shape)
    return type_.clone(shape=shape)(name=name)


def parameter_input(type_: TensorType, name: str | None, longest: int = FEW) -> Variable:
    """Make a float64 input of the same rank for a parameter; lengths up to `longest` that the type tells stay.

    Loops unroll along them. No data can change these: a parameter that follows data or a dimension has an open length
    in PyMC, too. Which dimensions are short and stay in the code nevertheless, `model.graphs.short_dims` says.
    """
    shape = tuple(n if n is not None and n <= longest else None for n in type_.shape)
    return type_.clone(dtype="float64", shape=shape)(name=name)


def _is_data(variable: Variable, *, is_observed: bool) -> bool:
    if not isinstance(variable, Constant | SharedVariable) or not _is_array(variable):
        return False
    if isinstance(variable, SharedVariable) or is_observed:
        return True
    # Arrays of one value are broadcast scalars, and booleans are masks: both are part of what the model is.
    return any(length != 1 for length in variable.type.shape) and variable.type.dtype != "bool"


def with_own_constants(outputs: Sequence[Variable]) -> list[Variable]:
    """Copy a graph whose constants hold the user's arrays: it is evaluated later, when these may have changed."""
    return clone_replace(list(outputs), {variable: _copied(variable) for variable in _constants(outputs)})


def _constants(outputs: Sequence[Variable]) -> list[Constant]:
    """Arrays among the constants of a graph."""
    return [v for v in ancestors(outputs) if isinstance(v, Constant) and _is_array(v) and v.type.ndim]


def _is_array(variable: Variable) -> bool:
    return isinstance(variable.type, TensorType) and not is_sparse(variable)


def _copied(constant: Constant) -> Constant:
    made = type(constant)(constant.type, description.owned(constant.data), name=constant.name)
    made.tag = copy(constant.tag)
    return made


def _shape_constants(outputs: Sequence[Variable]) -> set[Variable]:
    """Constants that say how to reshape, or how much to draw: static ranks and shapes depend on them."""
    nodes = list(apply_ancestors(outputs))
    shapes = [node.inputs[-1] for node in nodes if isinstance(node.op, _SHAPED)]
    shapes += [v for node in nodes if isinstance(node.op, RNGConsumerOp) for v in node.inputs if _is_size(v)]
    return {shape for shape in shapes if isinstance(shape, Constant)}


def _is_size(variable: Variable) -> bool:
    return isinstance(variable.type, TensorType) and variable.type.ndim == 1 and variable.type.dtype == "int64"
