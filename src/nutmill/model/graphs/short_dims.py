"""Finds short dimensions whose lengths stay in the code: loops over rows of data are then unrolled along them."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence

import pymc as pm
from pymc.distributions.transforms import LogExpM1, Ordered
from pymc.logprob.transforms import (
    CircularTransform,
    IntervalTransform,
    LogOddsTransform,
    LogTransform,
    SimplexTransform,
)
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import ancestors, apply_ancestors
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.basic import Alloc, ARange, Join
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import SpecifyShape
from pytensor.tensor.subtensor import IncSubtensor, Subtensor

from nutmill.model.compat import TAKING, index_entries, indexed_axes
from nutmill.model.graphs.few import FEW, FEW_BESIDE_GROUPS
from nutmill.model.graphs.graph import GraphArray
from nutmill.model.graphs.named_dims import plain
from nutmill.model.graphs.patterns import core_of, reduced_axes

_KEEP_LENGTHS = (LogTransform, LogExpM1, LogOddsTransform, IntervalTransform, CircularTransform, Ordered)

Axis = tuple[Variable, int]


def short_dims(model: pm.Model, outputs: Sequence[Variable]) -> dict[str, int]:
    """Find dimensions of at most `FEW` elements that are columns: of parameters, beside other rows, or of data.

    Groups, which data name, and dimensions along which data have their first axis are none: new data may have others.

    Parameters
    ----------
    model : pm.Model
    outputs : sequence of Variable
        The log density, of the model's value variables.

    Returns
    -------
    dict of str to int
        Length of each.
    """
    lengths = short_lengths(model)
    if not lengths:
        return {}
    dims = {plain(value): dims_of(model, value) for value in model.value_vars}
    search, groups = _Axes(dims), set[str]()
    columns = {each[-1] for each in dims.values() if len(each) > 1}
    for node in apply_ancestors(outputs):
        if isinstance(node.op, Elemwise) and node.outputs[0].type.ndim > 1:
            columns |= search.dims((node.outputs[0], node.outputs[0].type.ndim - 1))
        columns |= {dim for axis in _multiplied_axes(node, dims) for dim in search.dims(axis)}
        groups |= {dim for axis in _indexed_axes(node) for dim in search.dims(axis)}
    data = (*model.observed_RVs, *model.data_vars)
    rows = {each[0] for v in data if (each := model.named_vars_to_dims.get(v.name))}
    return {dim: length for dim, length in lengths.items() if dim in columns - groups - rows}


def longest_lengths(model: pm.Model, outputs: Sequence[Variable]) -> dict[str, int]:
    """Up to which length the type of each value variable, by name, stays in the code.

    Coefficients of data are more where parameters are taken by group: `narrow_products` multiplies by columns there.
    """
    values = [plain(value) for value in model.value_vars]
    names = {v: (v.name,) for v in values if _is_more_than_few(v)}
    nodes = list(apply_ancestors(outputs)) if names else []
    longest = dict.fromkeys([value.name for value in model.value_vars], FEW)
    if any(next(_indexed_axes(node), None) for node in nodes):
        search = _Axes(names)
        found = {name for node in nodes for axis in _multiplied_axes(node, values) for name in search.dims(axis)}
        longest |= dict.fromkeys(found, FEW_BESIDE_GROUPS)
    return longest


def _is_more_than_few(value: Variable) -> bool:
    shape = value.type.shape
    return len(shape) == 1 and shape[0] is not None and FEW < shape[0] <= FEW_BESIDE_GROUPS


def short_lengths(model: pm.Model) -> dict[str, int]:
    """Lengths, by name, of all dimensions that may be among `short_dims`."""
    known = {d: v.get_value() for d, v in model.dim_lengths.items() if isinstance(v, SharedVariable)}
    return {dim: int(length) for dim, length in known.items() if 2 <= length <= FEW}


def static_shape(model: pm.Model, value: Variable, short: Mapping[str, int]) -> tuple[int | None, ...]:
    """Lengths of a value variable that its type, or its dimensions among `short`, tell; None for others."""
    shape = list(plain(value).type.shape)
    transform = model.rvs_to_transforms[model.values_to_rvs[value]]
    for axis, dim in enumerate(dims_of(model, value)):
        if dim is not None and dim in short and shape[axis] is None:
            is_last = isinstance(transform, SimplexTransform) and axis == len(shape) - 1
            shape[axis] = short[dim] - is_last
    return tuple(shape)


def fixed(arrays: Sequence[GraphArray], short: Mapping[str, int]) -> tuple[GraphArray, ...]:
    """Mark, among the arrays of a model, the lengths of dimensions among `short`."""
    return tuple(array._replace(is_fixed=array.value.ndim == 0 and array.name in short) for array in arrays)


def dims_of(model: pm.Model, value: Variable) -> tuple[str | None, ...]:
    """Dimensions of the axes of a value variable; none where its transform does who knows what to them."""
    variable = model.values_to_rvs[value]
    transform = model.rvs_to_transforms[variable]
    dims = model.named_vars_to_dims.get(variable.name) or ()
    is_plain = transform is None or isinstance(transform, (*_KEEP_LENGTHS, SimplexTransform))
    return tuple(dims) if is_plain and len(dims) == value.type.ndim else ()


class _Axes:
    """Which dimensions of parameters an axis of an expression has elements along."""

    def __init__(self, dims: Mapping[Variable, Sequence[str | None]]):
        self._dims = dims

    def dims(self, axis: Axis) -> set[str]:
        """Names of the dimensions."""
        found, seen, left = set[str](), {axis}, [axis]
        while left:
            variable, number = left.pop()
            if variable in self._dims and number < len(self._dims[variable]):
                dim = self._dims[variable][number]
                found |= set() if dim is None else {dim}
            elif variable.owner is not None:
                new = set(_axes_behind(variable.owner, number)) - seen
                seen |= new
                left += new
        return found


def _axes_behind(node: Apply, axis: int) -> list[Axis]:
    """Axes of a node's operands whose elements make those along an axis of its result."""
    for kinds, behind in _BEHIND:
        if isinstance(node.op, kinds):
            return behind(node, axis)
    return []


def _of_equal_rank(node: Apply, axis: int) -> list[Axis]:
    rank = node.outputs[0].type.ndim
    return [(v, axis) for v in node.inputs if v.type.ndim == rank and v.type.shape[axis] != 1]


def _of_moved(node: Apply, axis: int) -> list[Axis]:
    before = node.op.new_order[axis]
    return [(node.inputs[0], before)] if isinstance(before, int) else []


def _of_reduced(node: Apply, axis: int) -> list[Axis]:
    table = node.inputs[0]
    reduced = reduced_axes(node.op, table.type.ndim)
    return [(table, [number for number in range(table.type.ndim) if number not in reduced][axis])]


def _of_product(node: Apply, axis: int) -> list[Axis]:
    first, second = node.inputs
    return [(first, axis) if axis < first.type.ndim - 1 else (second, second.type.ndim - 1)]


def _of_repeated(node: Apply, axis: int) -> list[Axis]:
    given = node.inputs[0].type
    axis -= node.outputs[0].type.ndim - given.ndim
    return [(node.inputs[0], axis)] if axis >= 0 and given.shape[axis] != 1 else []


def _of_part(node: Apply, axis: int) -> list[Axis]:
    entries = index_entries(node)
    entries += [slice(None)] * (node.inputs[0].type.ndim - len(entries))
    return [(node.inputs[0], [number for number, entry in enumerate(entries) if isinstance(entry, slice)][axis])]


def _of_rows(node: Apply, axis: int) -> list[Axis]:
    """Other axes than that of rows that are taken by one index."""
    keeps_rank = node.outputs[0].type.ndim == node.inputs[0].type.ndim
    return [(node.inputs[0], axis)] if keeps_rank and axis > 0 else []


_BEHIND: tuple[tuple[type | tuple[type, ...], Callable[[Apply, int], list[Axis]]], ...] = (
    ((Elemwise, Join, IncSubtensor, CumOp, SpecifyShape, CheckAndRaise), _of_equal_rank),
    (DimShuffle, _of_moved),
    (CAReduce, _of_reduced),
    (Dot, _of_product),
    (Alloc, _of_repeated),
    (Subtensor, _of_part),
    (TAKING, _of_rows),
)


def _indexed_axes(node: Apply) -> Iterator[Axis]:
    """Axes along which a node takes what arrays of integers name: groups, unlike the column chosen in each row."""
    if not isinstance(node.op, TAKING):
        return
    named = {axis: index for axis, index in indexed_axes(node) if index.type.ndim > 0}
    is_choice = len(named) > 1 and any(_is_arange(v) for v in ancestors([named[min(named)]]))
    yield from ((node.inputs[0], axis) for axis in named if not is_choice)


def _multiplied_axes(node: Apply, parameters: Container[Variable]) -> Iterator[Axis]:
    """Axes of parameters along which a node multiplies each by a column of data."""
    if not isinstance(core_of(node.op), Dot):
        return
    first, second = node.inputs
    for one, axis, other in ((second, max(second.type.ndim - 2, 0), first), (first, first.type.ndim - 1, second)):
        if other.type.ndim > 1 and not any(v in parameters for v in ancestors([other])):
            yield one, axis


def _is_arange(variable: Variable) -> bool:
    return variable.owner is not None and isinstance(variable.owner.op, ARange)
