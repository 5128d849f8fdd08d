"""Squared distances of points of data, as covariance functions have them: from differences, column by column.

PyMC computes |a - b|^2 as |a|^2 + |b|^2 - 2 a.b of scaled points, which rounding may leave below zero, and whose
gradient with respect to the scales has sums of a matrix by rows and by columns. Written by differences of the points
as they are, each scale is a number for a whole matrix: its gradient is one sum, in the loop of the covariance.
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import GraphRewriter, copy_stack_trace
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import GT, LT, Add, Mul, Sqr, Switch, TrueDiv
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot, Sum

from nutmill.model.graphs.patterns import operands_of, transposed_of

# More columns would make loops of too many values at once.
_MOST_COLUMNS = 8


class _Scaled(NamedTuple):
    """Points (n, d), what they are divided by, (1, d) or (1, 1), and d, if it is known."""

    points: Variable
    scales: Variable
    n_columns: int | None


class DistancesByColumns(GraphRewriter):
    """Rewrite squared distances of scaled points, none of which is made of `parameters`."""

    def __init__(self, parameters: Sequence[Variable]):
        self._parameters = set(parameters)

    def apply(self, fgraph: FunctionGraph) -> None:
        """Replace them all, and the checks of what cannot be below zero."""
        for node in fgraph.toposort():
            found = _expanded_distances(node.outputs[0]) if node in fgraph.apply_nodes else None
            if found is None or any(self._is_made_of_parameters(side.points) for side in found):
                continue
            distances = _by_columns(*found)
            if distances is not None and distances.type.dtype == node.outputs[0].type.dtype:
                copy_stack_trace(node.outputs, distances)
                _drop_bounds(fgraph, node.outputs[0])
                fgraph.replace(node.outputs[0], distances, reason="distances by columns")

    def _is_made_of_parameters(self, points: Variable) -> bool:
        return not self._parameters.isdisjoint(ancestors([points]))


def _expanded_distances(variable: Variable) -> tuple[_Scaled, _Scaled] | None:
    """The points of ``-2 A @ B.T + |A|^2 + |B|^2``, if that is what a variable is."""
    terms = operands_of(variable, Add)
    if len(terms) != 3 or variable.type.ndim != 2:
        return None
    products = [pair for term in terms if (pair := _product(term)) is not None]
    if len(products) != 1:
        return None
    left, right = products[0]
    rows, columns = (
        any(_are_lengths(term, points, axis) for term in terms) for points, axis in ((left, 1), (right, 0))
    )
    sides = _scaled(left), _scaled(right)
    if not (rows and columns) or sides[0] is None or sides[1] is None or sides[0].scales is not sides[1].scales:
        return None
    return sides[0], sides[1]


def _product(term: Variable) -> tuple[Variable, Variable] | None:
    """The A and B of ``-2 A @ B.T``; of single columns, this is a product of elements."""
    whole, *scales = operands_of(term, TrueDiv) or [term]
    factors = operands_of(whole, Mul)
    numbers = [factor for factor in factors if isinstance(factor, Constant) and factor.data.size == 1]
    others = [factor for factor in factors if factor not in numbers]
    node = others[0].owner if len(others) == 1 else None
    if node is not None and isinstance(node.op, Dot):
        others = node.inputs
    if [number.data.item() for number in numbers] != [-2.0] or len(others) != 2:
        return None
    for left, transposed in (others, others[::-1]):
        right = transposed_of(transposed)
        if right is None:
            continue
        if not scales:
            return left, right
        if _divided(right) == (left, *scales):  # PyTensor 3 divides the product of A's column and B
            return right, right
    return None


def _are_lengths(term: Variable, points: Variable, axis: int) -> bool:
    """Whether a term has the squared lengths of points, with an axis of length 1 in this place."""
    node = term.owner
    if (
        node is None
        or not isinstance(node.op, DimShuffle)
        or list(node.op.new_order) != ([0, "x"], ["x", 0])[axis == 0]
    ):
        return False
    total = node.inputs[0].owner
    if total is not None and isinstance(total.op, Sum) and tuple(total.op.axis or ()) == (1,):
        return operands_of(total.inputs[0], Sqr) == [points]
    (column,) = operands_of(node.inputs[0], Sqr) or [None]
    squeezed = None if column is None else column.owner
    return (
        squeezed is not None
        and isinstance(squeezed.op, DimShuffle)
        and list(squeezed.op.new_order) == [0]
        and squeezed.inputs == [points]
    )


def _scaled(points: Variable) -> _Scaled | None:
    parts = _divided(points)
    if parts is None or not parts[1].type.broadcastable[0] or parts[0].type.broadcastable[0]:
        return None
    return _Scaled(*parts, points.type.shape[1])


def _divided(variable: Variable) -> tuple[Variable, Variable] | None:
    """The a and b of ``a / b`` or ``a * (1 / b)``."""
    if parts := operands_of(variable, TrueDiv):
        return parts[0], parts[1]
    factors = operands_of(variable, Mul)
    for one, other in (factors, factors[::-1]) if len(factors) == 2 else ():
        inverse = operands_of(other, TrueDiv)
        if inverse and isinstance(inverse[0], Constant) and inverse[0].data.size == 1 and inverse[0].data.item() == 1:
            return one, inverse[1]
    return None


def _by_columns(left: _Scaled, right: _Scaled) -> Variable | None:
    n_columns = left.n_columns or right.n_columns
    is_single = left.scales.type.broadcastable[1]
    if is_single and n_columns == 1:
        return pt.sqr(left.points - right.points.T) / pt.sqr(left.scales)
    if is_single:
        return _between(left.points, right.points) / pt.sqr(left.scales)
    if n_columns is None or n_columns > _MOST_COLUMNS:
        return None
    squares = [pt.sqr(left.points[:, k][:, None] - right.points[:, k][None]) for k in range(n_columns)]
    return reduce(pt.add, [square / pt.sqr(left.scales[:, k][None]) for k, square in enumerate(squares)])


def _between(one: Variable, other: Variable) -> Variable:
    """Squared distances of data, computed once: as PyMC does, without what rounding leaves below zero."""
    lengths = pt.sqr(one).sum(axis=1)[:, None] + pt.sqr(other).sum(axis=1)[None]
    return pt.maximum(lengths - 2.0 * pt.dot(one, other.T), 0.0)


def _drop_bounds(fgraph: FunctionGraph, distances: Variable) -> None:
    """Leave out choices of what is below zero or above infinity, as nothing is."""
    bounds = {LT: 0.0, GT: float("inf")}
    for client, _ in list(fgraph.clients[distances]):
        kind = type(getattr(getattr(client, "op", None), "scalar_op", None))
        limit = client.inputs[1] if kind in bounds and client.inputs[0] is distances else None
        if not isinstance(limit, Constant) or limit.data.size != 1 or limit.data.item() != bounds[kind]:
            continue
        for choice, _ in list(fgraph.clients[client.outputs[0]]):
            if operands_of(choice.outputs[0], Switch)[:1] == [client.outputs[0]]:
                fgraph.replace(choice.outputs[0], choice.inputs[2], reason="distances by columns")
