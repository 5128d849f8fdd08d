"""By which positive expressions a model multiplies one of its variables: what makes a hand-written non-centred form.

The variable may be indexed, turned, reshaped, summed up or multiplied by data on the way, as in `z[group] * s`: all of
that is linear, so a scale that is the same for all that is mixed is one of the variable itself. Which axes are still
those of the variable is noted on the way, and a scale that varies along others is none. Sums along an axis of its own
make the values of a process of it, whose steps it is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Cast, Identity, Mul, Neg, TrueDiv
from pytensor.tensor.basic import Join
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.math import Dot, Sum
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.subtensor import IncSubtensor, Subtensor

from nutmill.model.compat import CHANGING, TAKING, index_entries, join_axis
from nutmill.model.graphs.hierarchies.correlated import is_factor
from nutmill.model.graphs.hierarchies.lkj import row_lengths
from nutmill.model.graphs.hierarchies.positive import is_positive
from nutmill.model.graphs.model_variables import ModelVariables
from nutmill.model.graphs.patterns import core_of, transposed_of

# Linear in what they are of, whatever they do with its axes.
_MIXING = (Reshape, Sum)
_MIXING_ONE_AXIS = (CumOp, Join)


class Use(NamedTuple):
    """An expression that is linear in a variable."""

    variable: Variable
    expression: Variable
    axes: tuple[int | None, ...]  # for each of its axes, which axis of the variable it is; None: of none, or of several
    before: tuple["Use", Variable] | None = None  # of what it is made by an index along the first axis, and that index
    joined: tuple[int, int | None] | None = None  # along which axis others stand beside it, and which one that was
    summed: int | None = None  # along which axis of the variable it is the sum of what comes before
    factor: tuple[Variable, int] | None = None  # by which Cholesky factor it is multiplied, and along which axis


class Scaling(NamedTuple):
    """By what a model multiplies a variable."""

    scale: Variable | None  # in the shape of the variable
    summed: int | None = None  # the axis of the variable along which it then is the sum of what comes before, if it is
    # A Cholesky factor of the model's, and the axis of the variable along which it is multiplied by it, if it is.
    factor: tuple[Variable, int] | None = None


class ScaledUses:
    """What a model does with its variables."""

    def __init__(self, model: ModelVariables):
        self._model, self._free = model, set(model.free_RVs)
        self.clients: dict[Variable, list[Apply]] = {}  # the operations that read each variable
        for variable in ancestors([*model.basic_RVs, *model.potentials, *model.deterministics]):
            node = variable.owner
            for operand in dict.fromkeys(() if node is None else node.inputs):
                self.clients.setdefault(operand, []).append(node)

    def scaling_of(self, rv: Variable, n_whole: int = 0) -> Scaling | None:
        """Product of positive expressions of free variables that a variable is multiplied by; None if there is none.

        Along the last `n_whole` of its axes it must have one scale.
        """
        ndim = rv.type.ndim
        axes = tuple(axis if axis < ndim - n_whole else None for axis in range(ndim))
        found = self._along(Use(rv, rv, axes), set())
        return None if found is None or (found.scale is None and found.factor is None) else found

    def _along(self, use: Use, seen: set[Variable]) -> Scaling | None:
        """By what a use is multiplied further on, by the first way on which it is."""
        if use.expression in seen:
            return None
        seen.add(use.expression)
        for node in self.clients.get(use.expression, ()):
            step = self._step(node, use)
            if step is not None:
                scale, after = step
                further = self._along(after, seen) or Scaling(None, after.summed, after.factor)
                if scale is not None:
                    further = further._replace(scale=scale if further.scale is None else scale * further.scale)
                if any(part is not None for part in further):
                    return further
        return None

    def _step(self, node: Apply, use: Use) -> tuple[Variable | None, Use] | None:
        """Say by which scale a node multiplies a use, if by any, and what it makes of it; None if nothing linear."""
        operation = node.op.scalar_op if isinstance(node.op, Elemwise) else node.op
        if isinstance(operation, (Identity, Cast, Neg, ViewOp, SpecifyShape)):
            return None, use._replace(expression=node.outputs[0])
        if isinstance(operation, (Mul, TrueDiv)) or _multiplies_matrices(node):
            if len(node.inputs) != 2 or (isinstance(operation, TrueDiv) and node.inputs[0] is not use.expression):
                return None
            other = node.inputs[node.inputs[0] is use.expression]
            if self._needs(other, use.variable):
                return None
            return self._of_matrices(node, use, other) if _multiplies_matrices(node) else self._of(node, use, other)
        axes = _axes_after(node, use)
        if axes is None:
            return None
        is_index = isinstance(node.op, TAKING) and len(node.inputs) == 2
        before = (use, node.inputs[1]) if is_index else None
        joined, summed = _joined_by(node, use), _summed_after(node, use)
        return None, Use(use.variable, node.outputs[0], axes, before, joined, summed, use.factor)

    def _of(self, node: Apply, use: Use, other: Variable) -> tuple[Variable | None, Use]:
        """Read a product or quotient of elements."""
        factor = self._scale_in(other, use)
        if factor is not None and isinstance(node.op.scalar_op, TrueDiv):
            factor = pt.reciprocal(factor)
        grown = [
            not is_one and use.expression.type.broadcastable[k] for k, is_one in enumerate(other.type.broadcastable)
        ]
        axes = tuple(None if is_grown else axis for axis, is_grown in zip(use.axes, grown, strict=True))
        return factor, use._replace(expression=node.outputs[0], axes=axes)

    def _of_matrices(self, node: Apply, use: Use, other: Variable) -> tuple[Variable | None, Use]:
        """Read a product of matrices: with the factor of an LKJ prior elements keep their places, with others not."""
        is_first, ndim = node.inputs[0] is use.expression, use.variable.type.ndim
        # As it is, transposed, or the column that a vector is made.
        is_itself = use.axes in (tuple(range(ndim)), (1, 0), (0, None))
        lengths = row_lengths(other, is_first, self._model) if is_itself else None
        if lengths is None:
            nowhere = (None,) * node.outputs[0].type.ndim
            factor = self._factor(use, other, is_first) if use.factor is None and use.summed is None else use.factor
            return None, use._replace(expression=node.outputs[0], axes=nowhere, before=None, factor=factor)
        is_of_rows = ndim == 2 and use.axes[1 if is_first else 0] == 0
        return lengths[:, None] if is_of_rows else lengths, use._replace(expression=node.outputs[0])

    def _factor(self, use: Use, other: Variable, is_first: bool) -> tuple[Variable, int] | None:
        """The Cholesky factor that a use is multiplied by, or its transpose from the right, and along which axis."""
        matrix, axis = (transposed_of(other), use.axes[-1]) if is_first else (other, use.axes[0])
        if matrix is None or other.type.ndim != 2 or axis is None:
            return None
        return (matrix, axis) if is_factor(matrix) and self._needs(matrix) else None

    def _scale_in(self, factor: Variable, use: Use) -> Variable | None:
        """Product of all parts of a factor that can be the scale of a variable, in the shape of the variable."""
        if is_positive(factor, self._model) and self._needs(factor):
            found = self._fitted(factor, use)
            if found is not None:
                return found
        node = factor.owner
        if node is None or not isinstance(node.op, Elemwise) or not isinstance(node.op.scalar_op, Mul | TrueDiv):
            return None
        parts = [self._scale_in(part, use) for part in node.inputs]
        if isinstance(node.op.scalar_op, TrueDiv) and parts[1] is not None:
            parts[1] = pt.reciprocal(parts[1])
        found, *others = [part for part in parts if part is not None] or [None]
        for part in others:
            found = found * part
        return found

    def _fitted(self, factor: Variable, use: Use) -> Variable | None:
        """Give a factor the axes of the variable; None if it varies along others."""
        varying = [axis for axis, is_one in enumerate(factor.type.broadcastable) if not is_one]
        places = [use.axes[axis] for axis in varying]
        if None not in places:
            return _turned(factor, use, dict(zip(places, varying, strict=True)))
        node = factor.owner
        if use.before is not None and node is not None and isinstance(node.op, TAKING) and len(node.inputs) == 2:
            before, index = use.before
            if _is_same(node.inputs[1], index) and node.inputs[0].type.ndim == before.expression.type.ndim:
                return self._fitted(node.inputs[0], before)
        return None

    def _needs(self, expression: Variable, rv: Variable | None = None) -> bool:
        """Whether free variables are behind an expression, or one of them."""
        needed = self._free.intersection(ancestors([expression]))
        return rv in needed if rv is not None else bool(needed)


def _multiplies_matrices(node: Apply) -> bool:
    return isinstance(core_of(node.op), Dot)


def _axes_after(node: Apply, use: Use) -> tuple[int | None, ...] | None:
    """Axes of the output of a node that moves or mixes; None if it does something else."""
    if isinstance(node.op, (IncSubtensor, *CHANGING)) and node.inputs[1] is use.expression:
        return (None,) * node.outputs[0].type.ndim
    if node.inputs[0] is not use.expression and not isinstance(node.op, Join):
        return None
    if isinstance(node.op, DimShuffle):
        return tuple(None if axis == "x" else use.axes[axis] for axis in node.op.new_order)
    if isinstance(node.op, (Subtensor, *TAKING)):
        return _axes_indexed(node, use.axes)
    if isinstance(node.op, _MIXING_ONE_AXIS) and (mixed := _axis_of(node)) is not None:
        return tuple(None if axis == mixed else own for axis, own in enumerate(use.axes))
    return (None,) * node.outputs[0].type.ndim if isinstance(node.op, (*_MIXING, *_MIXING_ONE_AXIS)) else None


def _summed_after(node: Apply, use: Use) -> int | None:
    """Axis of the variable along which the output of a node sums what comes before; the first of several."""
    axis = _axis_of(node) if isinstance(node.op, CumOp) and node.op.mode == "add" else None
    if use.summed is not None or axis is None:
        return use.summed
    return use.joined[1] if use.joined is not None and use.joined[0] == axis else use.axes[axis]


def _joined_by(node: Apply, use: Use) -> tuple[int, int | None] | None:
    axis = _axis_of(node) if isinstance(node.op, Join) else None
    return None if axis is None else (axis, use.axes[axis])


def _axis_of(node: Apply) -> int | None:
    """Along which axis something is joined or summed up; None: along all."""
    if node.inputs[-1].type.ndim == 1:
        return 0
    return join_axis(node)[0] if isinstance(node.op, Join) else node.op.axis


def _axes_indexed(node: Apply, axes: Sequence[int | None]) -> tuple[int | None, ...]:
    """Axes that are left of those of a variable that is indexed: those that are taken whole."""
    entries, is_advanced = index_entries(node), isinstance(node.op, TAKING)
    if is_advanced and sum(not isinstance(entry, slice) for entry in entries) != 1:
        return (None,) * node.outputs[0].type.ndim
    left: list[int | None] = []
    for axis, entry in enumerate(entries):
        if isinstance(entry, slice):
            left.append(axes[axis] if entry == slice(None) else None)
        elif is_advanced:
            left += [None] * (node.outputs[0].type.ndim - len(axes) + 1)
    return (*left, *axes[len(entries) :])


def _turned(factor: Variable, use: Use, varying: dict[int | None, int]) -> Variable:
    """Move the axes along which a factor varies to their places among those of a variable."""
    if use.axes == tuple(range(factor.type.ndim)):
        return factor
    return factor.dimshuffle([varying.get(axis, "x") for axis in range(use.variable.type.ndim)])


def _is_same(one: Variable, other: Variable) -> bool:
    if isinstance(one, Constant) and isinstance(other, Constant):
        return np.array_equal(one.data, other.data)
    return one is other
