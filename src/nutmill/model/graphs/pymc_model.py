"""From a `pm.Model` to a `ModelGraph`: the only file that reads PyMC's models."""

from collections.abc import Mapping, Sequence

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.continuous import FlatRV, HalfFlatRV
from pymc.distributions.distribution import support_point
from pymc.initial_point import convert_str_to_rv_dict, make_initial_point_expression
from pymc.pytensorf import replace_rng_nodes
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.math import variadic_add
from pytensor.tensor.type import TensorType

from nutmill.errors import ModelError, first_line
from nutmill.model.graphs.graph import (
    GraphArray,
    GraphParameter,
    ModelGraph,
    Node,
    Starting,
    Terms,
    held,
    lift,
    parameter_input,
    with_own_constants,
)
from nutmill.model.graphs.hierarchies.centring import expressions_of, in_values, recentred
from nutmill.model.graphs.hierarchies.sites import FoundSite, find_sites
from nutmill.model.graphs.left_out import Fitted, counted, new_fitted, with_names
from nutmill.model.graphs.named_dims import named_like, plain, transform_of
from nutmill.model.graphs.refused import check_model, check_shapes
from nutmill.model.graphs.short_dims import fixed, longest_lengths, short_dims, static_shape
from nutmill.model.graphs.stacking import stacked
from nutmill.native.newdata import check_not_nan


def from_pymc(model: pm.Model, var_names: Sequence[str] | None = None, *, leave_out: bool = False) -> ModelGraph:
    """Read a PyMC model: log density, parameters, data, what to report of each draw, and where to start.

    With `leave_out` truth values say which observations count (`model.graphs.left_out`). Raises ModelError if there is
    nothing to sample, a free variable is discrete, a name clashes with ArviZ's dimensions, observed data are NaN, the
    shape of a reported variable depends on parameters, or `var_names` names an unknown variable.
    """
    check_model(model)
    reported = _reported(model, var_names)
    data, found, begin = _named_data(model), find_sites(model), start_expressions(model, {})
    fitted = new_fitted(_log_densities(model, model.observed_RVs), _values_of(model), begin) if leave_out else {}
    sections = [
        *_observed_and_total(model, found, fitted),  # first, where what is observed does not change the arrays' order
        *(_stacked(model, model.replace_rvs_by_values(list(reported.values()))), begin, list(data.values())),
    ]
    sections += [expressions_of(model, found, sections[1])]
    lifted, arrays = lift(_joined(sections), *with_names(fitted, *_data_names(model)))
    _check_observed(arrays)
    pointwise, (rest,), *others, located = _parted(lifted, sections)
    parameters = _parameters(model, short := short_dims(model, [rest]), longest_lengths(model, [rest]))
    casts = {v: pt.cast(p.variable, v.dtype) for v, p in zip(_values_of(model), parameters, strict=True)}
    logp, sites = recentred(rest, in_values(model, found, located), parameters, casts)
    as_written = clone_replace(_joined([pointwise, *others]), casts, rebuild_strict=False)
    pointwise, expanded, start, values = _parted(as_written, [pointwise, *others])
    check_shapes(dict(zip(reported, expanded, strict=True)), [p.variable for p in parameters])
    dims, named = model.named_vars_to_dims, dict(zip(data, values, strict=True))
    observed = [rv.name for rv in model.observed_RVs]
    return ModelGraph(
        parameters=parameters,
        arrays=fixed(arrays, short),
        logp=logp,
        expanded={name: Node(out, dims.get(name)) for name, out in zip(reported, expanded, strict=True)},
        sites=sites,
        start=tuple(start),
        coords={name: labels for name, labels in model.coords.items() if labels is not None},
        array_dims={name: tuple(d) for name, d in dims.items()},
        observed={name: named[name] for name in observed},
        constant={name: value for name, value in named.items() if name not in observed},
        pointwise=dict(zip(observed, pointwise, strict=True)),
        terms=lambda: _terms(model),
        point_variables=lambda: _values_of(model),
        prior=lambda: _prior(model),
        start_given=lambda given: start_given(model, given),
        starting=lambda: _starting(model),
        source=model,
    )


def _joined(sections: Sequence[Sequence[Variable]]) -> list[Variable]:
    return [output for section in sections for output in section]


def _parted(outputs: Sequence[Variable], sections: Sequence[Sequence[Variable]]) -> list[list[Variable]]:
    """Take apart what was joined: sections of the same lengths."""
    rest = iter(outputs)
    return [[next(rest) for _ in section] for section in sections]


def _values_of(model: pm.Model) -> list[Variable]:
    """Parameters of the log density in PyMC's graphs, once these are lifted."""
    return [plain(value) for value in model.value_vars]


def _parameters(model: pm.Model, short: Mapping[str, int], longest: Mapping[str, int]) -> tuple[GraphParameter, ...]:
    parameters = []
    for value in model.value_vars:
        rv_name = model.values_to_rvs[value].name
        shape = static_shape(model, value, short)
        variable = parameter_input(plain(value).type.clone(shape=shape), value.name, longest[value.name])
        parameters.append(GraphParameter(value.name, variable, rv_name, model.named_vars_to_dims.get(rv_name)))
    return tuple(parameters)


def _named_data(model: pm.Model) -> dict[str, Variable]:
    """What the groups `observed_data` and `constant_data` show, by name."""
    observed = {rv.name: model.rvs_to_values[rv] for rv in model.observed_RVs}
    # As in PyMC: data that are observed as they are show once, unless something else is computed of them too.
    twice = set(model.data_vars) & set(observed.values())
    if twice:
        twice -= set(ancestors([*model.basic_RVs, *model.deterministics, *model.potentials]))
    return observed | {v.name: v for v in model.data_vars if v not in twice}


def start_expressions(model: pm.Model, overrides: Mapping, *, transformed: bool = True) -> list[Variable]:
    """Graphs of the initial value of each free variable, on the unconstrained scale, or on its own.

    `overrides` maps names of variables to values, as PyMC's `initvals`.
    """
    given = convert_str_to_rv_dict(model, dict(overrides))
    expressions = make_initial_point_expression(
        free_rvs=model.free_RVs,
        rvs_to_transforms={rv: transform_of(rv, model.rvs_to_transforms.get(rv)) for rv in model.free_RVs},
        initval_strategies={**model.rvs_to_initial_values, **given},
        return_transformed=transformed,
    )
    by_value = dict(zip((model.rvs_to_values[rv] for rv in model.free_RVs), expressions, strict=True))
    return replace_rng_nodes([by_value[value] for value in model.value_vars])


def start_of(model: pm.Model) -> tuple[list[GraphArray], list[Variable]]:
    """Arrays, and graphs of them that give each parameter's initial value; there are no arrays if none can change."""
    expressions = start_expressions(model, {})
    names, _ = _data_names(model)
    if not any(variable in names for variable in ancestors(expressions)):
        return [], with_own_constants(expressions)
    return start_given(model, {})


def start_given(model: pm.Model, given: Mapping[str, object]) -> tuple[list[GraphArray], list[Variable]]:
    """Arrays, and graphs of them that give each parameter's initial value where the user gives some by name."""
    pieces = {value.name for rv, value in model.rvs_to_values.items() if model.rvs_to_transforms.get(rv) is not None}
    # PyMC takes back these values as they are: a number would be of single precision, a list of no type at all.
    exact = {name: np.asarray(value, np.float64) if name in pieces else value for name, value in given.items()}
    outputs, arrays = lift(start_expressions(model, exact), *_data_names(model))
    return arrays, outputs


def _prior(model: pm.Model) -> tuple[list[GraphArray], list[Variable]]:
    """Arrays, and graphs of them that draw each parameter from its prior; a flat one keeps its initial value."""
    drawn = {rv.name: "prior" for rv in model.free_RVs if not isinstance(rv.owner.op, FlatRV | HalfFlatRV)}
    outputs, arrays = lift(start_expressions(model, drawn), *_data_names(model))
    return arrays, outputs


def _starting(model: pm.Model) -> Starting:
    variables = [model.values_to_rvs[value] for value in model.value_vars]
    given = {rv: TensorType(rv.dtype, (None,) * rv.type.ndim)(name=rv.name) for rv in variables}
    # As a start is computed from its variable's value and back, with the roundings of both ways.
    expressions = start_expressions(model, given, transformed=False)
    current = {rv: named_like(rv, value) for rv, value in zip(variables, expressions, strict=True)}
    usual = [_usual(rv, model.rvs_to_initial_values.get(rv)) for rv in variables]
    pieces = [parameter_input(value.type, value.name) for value in model.value_vars]
    backward = [_backward(model, rv, piece) for rv, piece in zip(variables, pieces, strict=True)]
    sections = [
        start_expressions(model, {}),
        start_expressions(model, {}, transformed=False),
        start_expressions(model, given),
        clone_replace(usual, current, rebuild_strict=False),
        clone_replace(backward, current, rebuild_strict=False),
    ]
    outputs, arrays = lift([output for section in sections for output in section], *_data_names(model))
    n = len(variables)
    starts, usual, starts_given, usual_given, backward = (outputs[k * n : (k + 1) * n] for k in range(len(sections)))
    inputs = list(given.values()), [plain(piece) for piece in pieces]
    return Starting(arrays, starts, usual, inputs[0], starts_given, usual_given, inputs[1], backward)


def _usual(variable: Variable, strategy: object) -> Variable:
    """Initial value of a variable, on its own scale, by what the model says of it: PyMC's strategies, or a value."""
    if strategy is not None and not isinstance(strategy, str):
        return pt.as_tensor(strategy)
    try:
        return variable if strategy == "prior" else support_point(variable)
    except NotImplementedError:  # PyMC draws such a variable too
        return variable


def _backward(model: pm.Model, variable: Variable, piece: Variable) -> Variable:
    """Value of a variable on its own scale, of its parameter's value."""
    transform = model.rvs_to_transforms.get(variable)
    value = piece if transform is None else transform.backward(piece, *variable.owner.inputs)
    return value.astype(variable.dtype)


def _reported(model: pm.Model, var_names: Sequence[str] | None) -> dict[str, Variable]:
    available = {v.name: v for v in (*model.free_RVs, *model.deterministics)}
    if var_names is None:
        return available
    if isinstance(var_names, str):
        raise ModelError(f"var_names is a list of names: write var_names=[{var_names!r}].")
    unknown = [name for name in var_names if name not in available]
    if unknown:
        raise ModelError(f"var_names has no such variable: {', '.join(unknown)}. The model has {', '.join(available)}.")
    return {name: available[name] for name in var_names}


def _data_names(model: pm.Model) -> tuple[dict[Variable, str], set[Variable]]:
    """Names of the arrays that a user may replace, and which of them are observations."""
    names: dict[Variable, str] = {}
    for name, length in model.dim_lengths.items():
        if isinstance(length, SharedVariable):
            names[length] = name
    names |= {v: v.name for v in model.data_vars}
    observed = set()
    for rv in model.observed_RVs:
        root = _root(model.rvs_to_values[rv])
        if root is not None:
            names.setdefault(root, rv.name)
            observed.add(root)
    return names, observed


def data_of(model: pm.Model) -> dict[str, np.ndarray]:
    """Data of a model as they are now, by name: what `with_data` could replace."""
    names, _ = _data_names(model)
    lengths = set(model.dim_lengths.values())
    return {name: held(variable) for variable, name in names.items() if variable not in lengths}


def data_name_of(model: pm.Model, observed: Variable) -> str:
    """Name under which `with_data` takes other data of an observed variable; raises ModelError if there is none."""
    root, (names, _) = _root(model.rvs_to_values[observed]), _data_names(model)
    if root is None:
        raise ModelError(f"The observations of {observed.name} are computed: observe a pm.Data or an array itself.")
    return names[root]


def _root(value: Variable) -> Variable | None:
    """The constant or shared variable that observed data come from, behind casts; None if it is computed."""
    while value.owner is not None and len(value.owner.inputs) == 1:
        value = value.owner.inputs[0]
    return value if isinstance(value, Constant | SharedVariable) else None


def _log_densities(model: pm.Model, variables: Sequence[Variable]) -> dict[Variable, Variable]:
    """Log density of variables of the model, value by value, in terms of the model's value variables.

    Raises ModelError with the shapes of all variables if values and parameters do not fit each other.
    """
    try:
        parts = model.logp(vars=variables, sum=False)
    except ValueError as error:
        shapes = ", ".join(f"{rv.name} {model.rvs_to_values[rv].type.shape}" for rv in model.basic_RVs)
        raise ModelError(f"The log density cannot be written ({shapes}): {first_line(error).rstrip('.')}.") from error
    return {v: pt.as_tensor(part, allow_xtensor_conversion=True) for v, part in zip(variables, parts, strict=True)}


def _observed_and_total(
    model: pm.Model, sites: Sequence[FoundSite], fitted: Fitted
) -> tuple[list[Variable], list[Variable]]:
    """Log densities of observed variables, and the sum of all but those of sites: without any, of `pm.Model.logp`."""
    apart = {site.variable for site in sites if site.is_prior}
    free = [rv for rv in model.free_RVs if rv not in apart]
    terms = _log_densities(model, [*free, *model.observed_RVs, *model.potentials])
    total = variadic_add(*(part.sum() for part in counted(terms, fitted)))
    return [terms[rv] for rv in model.observed_RVs], _stacked(model, [total])


def _stacked(model: pm.Model, outputs: Sequence[Variable]) -> list[Variable]:
    names, _ = _data_names(model)
    return stacked(outputs, names.__contains__)


def _terms(model: pm.Model) -> Terms:
    """Log density of each variable of the model, in terms of the model's value variables."""
    densities = _log_densities(model, [*model.basic_RVs, *model.potentials])
    parts, arrays = lift(list(densities.values()), *_data_names(model))
    return Terms(arrays, {variable.name: part for variable, part in zip(densities, parts, strict=True)})


def _check_observed(arrays: Sequence[GraphArray]) -> None:
    for array in arrays:
        check_not_nan(array.name, array.value, observed=array.observed)
