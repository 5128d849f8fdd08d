"""By which positive expressions a model multiplies one of its variables: what makes a hand-written non-centred form.

The variable may be indexed, turned, reshaped, summed up or multiplied by data on the way, as in `z[group] * s`: all of
that is linear, so a scale that is the same for all that is mixed is one of the variable itself. Which axes are still
those of the variable is noted on the way (`linear_uses`), and a scale that varies along others is none. Sums along an
axis of its own make the values of a process of it, whose steps it is. Where it meets no scale before it is added to
something, as in `(z - z.mean()) * s` or `(mu + z) * s`, scales of the sum are looked for.
"""

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import ancestors, toposort
from pytensor.scalar.basic import Add, Cast, Identity, Mul, Neg, Sub, Switch, TrueDiv
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import Subtensor

from nutmill.model.compat import TAKING
from nutmill.model.graphs.hierarchies.correlated import is_factor
from nutmill.model.graphs.hierarchies.linear_uses import (
    Use,
    axes_after,
    axes_grown,
    joined_by,
    summed_after,
)
from nutmill.model.graphs.hierarchies.lkj import row_lengths
from nutmill.model.graphs.hierarchies.positive import is_positive
from nutmill.model.graphs.model_variables import ModelVariables
from nutmill.model.graphs.patterns import core_of, is_constant, is_elementwise, transposed_of

# Of so many sums in a row: recursions that are written out step by step are sums of sums.
MOST_SUMS = 3


class Scaling(NamedTuple):
    """By what a model multiplies a variable."""

    scale: Variable | None  # in the shape of the variable
    summed: int | None = None  # the axis of the variable along which it then is the sum of what comes before, if it is
    # A Cholesky factor of the model's, and the axis of the variable along which it is multiplied by it, if it is.
    factor: tuple[Variable, int] | None = None
    location: Variable | None = None  # what the scaled variable is added to, in the shape of the variable


class ScaledUses:
    """What a model does with its variables."""

    def __init__(self, model: ModelVariables):
        self._model = model
        outputs = [*model.basic_RVs, *model.potentials, *model.deterministics]
        self.clients: dict[Variable, list[Apply]] = {}  # the operations that read each variable
        for variable in ancestors(outputs):
            node = variable.owner
            for operand in dict.fromkeys(() if node is None else node.inputs):
                self.clients.setdefault(operand, []).append(node)
        self._bits = {rv: 1 << number for number, rv in enumerate(model.free_RVs)}
        self._needed = _needed(outputs, self._bits)

    def scaling_of(self, rv: Variable, n_whole: int = 0, is_direct: bool = False) -> Scaling | None:
        """Product of positive expressions of free variables that a variable is multiplied by; None if there is none.

        Along the last `n_whole` of its axes it must have one scale. `is_direct` tells that it must meet its scale
        element by element, at most behind an index by groups.
        """
        ndim = rv.type.ndim
        axes = tuple(axis if axis < ndim - n_whole else None for axis in range(ndim))
        for n_sums in (0, MOST_SUMS if ndim and not is_direct else 0):
            found = self._along(Use(rv, rv, axes, n_sums=n_sums, is_placed=True, is_direct=is_direct), set())
            if found is not None and (found.scale is not None or found.factor is not None):
                return found
        return None

    def are_compared(self, rv: Variable) -> bool:
        """Whether a model takes differences of the elements of a variable, as where their mean is taken off."""
        seen, waiting = {rv}, [_whole(rv)]
        while waiting:
            use = waiting.pop()
            for node in self.clients.get(use.expression, ()):
                if is_elementwise(node, Sub) and all(self._linear(part, rv) for part in node.inputs):
                    return True
                step = self._step(node, use)
                if step is not None and step[1].expression not in seen:
                    seen.add(step[1].expression)
                    waiting.append(step[1])
        return False

    def _along(self, use: Use, seen: set[Variable]) -> Scaling | None:
        """By what a use is multiplied further on, by the first way on which it is."""
        if use.expression in seen:
            return None
        seen.add(use.expression)
        for node in self.clients.get(use.expression, ()):
            step = self._step(node, use) if _is_direct(node) or not use.is_direct else None
            if step is not None:
                scale, after = step
                further = self._along(after, seen) or Scaling(None, after.summed, after.factor)
                if after.shift is not None and after.shift is not use.shift and further.scale is not None:
                    further = further._replace(location=further.scale * after.shift.flatten()[0])
                if scale is not None:
                    further = further._replace(scale=scale if further.scale is None else scale * further.scale)
                if any(part is not None for part in further):
                    return further
        return None

    def _step(self, node: Apply, use: Use) -> tuple[Variable | None, Use] | None:
        """Say by which scale a node multiplies a use, if by any, and what it makes of it; None if nothing linear."""
        operation = node.op.scalar_op if isinstance(node.op, Elemwise) else node.op
        if isinstance(operation, (Identity, Cast, Neg, ViewOp, SpecifyShape)):
            is_placed = use.is_placed and not isinstance(operation, Neg)
            return None, use._replace(expression=node.outputs[0], is_placed=is_placed)
        if isinstance(operation, (Mul, TrueDiv)) or _multiplies_matrices(node):
            if len(node.inputs) != 2 or (isinstance(operation, TrueDiv) and node.inputs[0] is not use.expression):
                return None
            other = node.inputs[node.inputs[0] is use.expression]
            if self._needs(other, use.variable):
                return None
            return self._of_matrices(node, use, other) if _multiplies_matrices(node) else self._of(node, use, other)
        if isinstance(operation, (Add, Sub, Switch)):
            return self._of_sum(node, use)
        axes = axes_after(node, use)
        if axes is None:
            return None
        is_index = isinstance(node.op, TAKING) and len(node.inputs) == 2
        before = (use, node.inputs[1]) if is_index else None
        joined, summed = joined_by(node, use), summed_after(node, use)
        is_placed = use.is_placed and isinstance(node.op, (DimShuffle, Subtensor, *TAKING))
        more = (use.factor, use.n_sums, is_placed, use.shift, use.is_direct)
        return None, Use(use.variable, node.outputs[0], axes, before, joined, summed, *more)

    def _of(self, node: Apply, use: Use, other: Variable) -> tuple[Variable | None, Use]:
        """Read a product or quotient of elements."""
        factor = self._scale_in(other, use)
        if factor is not None and isinstance(node.op.scalar_op, TrueDiv):
            factor = pt.reciprocal(factor)
        return factor, use._replace(expression=node.outputs[0], axes=axes_grown(use, [other]), is_placed=False)

    def _of_sum(self, node: Apply, use: Use) -> tuple[None, Use] | None:
        """Read a sum or difference of what is linear in a variable and what does not depend on it, or a choice."""
        rv, others = use.variable, [operand for operand in node.inputs if operand is not use.expression]
        own = [other for other in others if self._needs(other, rv)]
        if is_elementwise(node, Switch):
            is_linear = node.inputs[0] is not use.expression and not own and all(map(_is_zero, others[1:]))
            return (None, use._replace(expression=node.outputs[0], axes=axes_grown(use, others))) if is_linear else None
        if use.n_sums == 0:
            return None
        linear = [found for other in own if (found := self._linear(other, rv)) is not None]
        if len(linear) < len(own):
            return None
        if not all(self._needs(other) or all(other.type.broadcastable) for other in others):
            return None  # as residuals of a likelihood that is written by hand are divided by their scale
        after = use._replace(expression=node.outputs[0], before=None, n_sums=use.n_sums - 1, is_placed=False)
        if len(own) < len(others):
            # With something else beside it, it has the scale of the sum only if all have that.
            is_shift = use.is_placed and len(others) == 1 and all(others[0].type.broadcastable)
            shift = None if not is_shift else -others[0] if is_elementwise(node, Sub) else others[0]
            return None, after._replace(axes=(None,) * len(use.axes), shift=shift)
        axes = [use.axes, *(found.axes for found in linear)]
        return None, after._replace(
            axes=tuple(one[0] if len(set(one)) == 1 else None for one in zip(*axes, strict=True))
        )

    def _linear(self, expression: Variable, rv: Variable) -> Use | None:
        """The use of a variable that an expression is; None if it is none, or the sum of several."""
        path = []
        while expression is not rv:
            node = expression.owner
            parts = [] if node is None else [part for part in dict.fromkeys(node.inputs) if self._needs(part, rv)]
            if len(parts) != 1:
                return None
            path.append(node)
            expression = parts[0]
        use = _whole(rv)
        for node in reversed(path):
            if (step := self._step(node, use)) is None:
                return None
            use = step[1]
        return use

    def _of_matrices(self, node: Apply, use: Use, other: Variable) -> tuple[Variable | None, Use]:
        """Read a product of matrices: with the factor of an LKJ prior elements keep their places, with others not."""
        is_first, ndim = node.inputs[0] is use.expression, use.variable.type.ndim
        # As it is, transposed, or the column that a vector is made.
        is_itself = use.axes in (tuple(range(ndim)), (1, 0), (0, None))
        lengths = row_lengths(other, is_first, self._model) if is_itself else None
        if lengths is None:
            nowhere = (None,) * node.outputs[0].type.ndim
            factor = self._factor(use, other, is_first) if use.factor is None and use.summed is None else use.factor
            after = use._replace(expression=node.outputs[0], axes=nowhere, before=None, factor=factor, is_placed=False)
            return None, after
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
        needed = self._needed.get(expression, 0)
        return bool(needed if rv is None else needed & self._bits[rv])


def _whole(rv: Variable) -> Use:
    """A variable as a use of itself."""
    return Use(rv, rv, tuple(range(rv.type.ndim)), n_sums=MOST_SUMS)


def _needed(outputs: Sequence[Variable], bits: Mapping[Variable, int]) -> dict[Variable, int]:
    """Which variables are behind each expression, as the sum of their bits; lengths need none."""
    needed = dict(bits)
    for node in toposort(outputs):
        is_length = isinstance(node.op, (Shape, Shape_i))
        behind = 0 if is_length else functools.reduce(operator.or_, (needed.get(v, 0) for v in node.inputs), 0)
        needed |= {output: behind | bits.get(output, 0) for output in node.outputs}
    return needed


def _is_zero(part: Variable) -> bool:
    while part.owner is not None and isinstance(part.owner.op, DimShuffle):
        part = part.owner.inputs[0]
    return is_constant(part, 0.0)


def _is_direct(node: Apply) -> bool:
    """Whether a node does the same with every element."""
    return isinstance(node.op, (Elemwise, ViewOp, SpecifyShape, DimShuffle, *TAKING))


def _multiplies_matrices(node: Apply) -> bool:
    return isinstance(core_of(node.op), Dot)


def _turned(factor: Variable, use: Use, varying: dict[int | None, int]) -> Variable:
    """Move the axes along which a factor varies to their places among those of a variable."""
    if use.axes == tuple(range(factor.type.ndim)):
        return factor
    return factor.dimshuffle([varying.get(axis, "x") for axis in range(use.variable.type.ndim)])


def _is_same(one: Variable, other: Variable) -> bool:
    if isinstance(one, Constant) and isinstance(other, Constant):
        return np.array_equal(one.data, other.data)
    return one is other
