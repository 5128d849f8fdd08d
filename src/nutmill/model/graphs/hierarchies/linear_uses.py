"""What is linear in a variable of a model: which of its axes are still those of the variable after each operation."""

from collections.abc import Sequence
from typing import NamedTuple

from pytensor.graph.basic import Apply, Variable
from pytensor.tensor.basic import Alloc, Join, MakeVector
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.extra_ops import CumOp, Repeat
from pytensor.tensor.math import Sum
from pytensor.tensor.shape import Reshape
from pytensor.tensor.subtensor import IncSubtensor, Subtensor

from nutmill.model.compat import CHANGING, TAKING, index_entries, join_axis

# Linear in what they are of, whatever they do with its axes.
_MIXING = (Reshape, Repeat)
_MIXING_ONE_AXIS = (CumOp, Join)


class Use(NamedTuple):
    """An expression that is linear in a variable, but for what is added to it."""

    variable: Variable
    expression: Variable
    axes: tuple[int | None, ...]  # for each of its axes, which axis of the variable it is; None: of none, or of several
    before: tuple["Use", Variable] | None = None  # of what it is made by an index along the first axis, and that index
    joined: tuple[int, int | None] | None = None  # along which axis others stand beside it, and which one that was
    summed: int | None = None  # along which axis of the variable it is the sum of what comes before
    factor: tuple[Variable, int] | None = None  # by which Cholesky factor it is multiplied, and along which axis
    n_sums: int = 0  # how many more sums may be made of it
    is_placed: bool = False  # whether its elements are those of the variable, elsewhere
    shift: Variable | None = None  # the number that is added to the variable, where it is one for all
    is_direct: bool = False  # whether only products of the elements one by one are of interest


def axes_after(node: Apply, use: Use) -> tuple[int | None, ...] | None:
    """Axes of the output of a node that moves or mixes; None if it does something else."""
    if isinstance(node.op, MakeVector):
        return (None,)
    if isinstance(node.op, (IncSubtensor, *CHANGING)) and node.inputs[1] is use.expression:
        return (None,) * node.outputs[0].type.ndim
    if node.inputs[0] is not use.expression and not isinstance(node.op, Join):
        return None
    if isinstance(node.op, DimShuffle):
        return tuple(None if axis == "x" else use.axes[axis] for axis in node.op.new_order)
    if isinstance(node.op, (Subtensor, *TAKING)):
        return _axes_indexed(node, use.axes)
    if isinstance(node.op, Sum):
        summed = range(len(use.axes)) if node.op.axis is None else node.op.axis
        return tuple(own for axis, own in enumerate(use.axes) if axis not in summed)
    if isinstance(node.op, Alloc):
        return (*(None,) * (len(node.inputs) - 1 - len(use.axes)), *axes_grown(use, node.outputs))
    if isinstance(node.op, _MIXING_ONE_AXIS) and (mixed := _axis_of(node)) is not None:
        return tuple(None if axis == mixed else own for axis, own in enumerate(use.axes))
    return (None,) * node.outputs[0].type.ndim if isinstance(node.op, (*_MIXING, *_MIXING_ONE_AXIS)) else None


def axes_grown(use: Use, others: Sequence[Variable]) -> tuple[int | None, ...]:
    """Axes of a use where it is made as large as others, whose last axes are its own."""
    ndim = len(use.axes)
    ones = use.expression.type.broadcastable
    grown = [one and not all(other.type.broadcastable[k - ndim] for other in others) for k, one in enumerate(ones)]
    return tuple(None if is_grown else axis for axis, is_grown in zip(use.axes, grown, strict=True))


def summed_after(node: Apply, use: Use) -> int | None:
    """Axis of the variable along which the output of a node sums what comes before; the first of several."""
    axis = _axis_of(node) if isinstance(node.op, CumOp) and node.op.mode == "add" else None
    if use.summed is not None or axis is None:
        return use.summed
    return use.joined[1] if use.joined is not None and use.joined[0] == axis else use.axes[axis]


def joined_by(node: Apply, use: Use) -> tuple[int, int | None] | None:
    """Along which axis a node puts others beside a use, and which axis of the variable that is; None: it does not."""
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
