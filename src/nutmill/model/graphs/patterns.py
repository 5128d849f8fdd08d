"""Short questions about nodes and variables of a graph, for all files that look for patterns in it."""

from typing import Any

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.op import Op
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import DimShuffle, Elemwise


def core_of(op: Op) -> Op:
    """The operation on one item, where an operation is that of stacks; else the operation itself."""
    return op.core_op if isinstance(op, Blockwise) else op


def is_elementwise(node: Apply | None, kinds: type | tuple[type, ...]) -> bool:
    """Whether a node applies a scalar operation of one of these kinds element by element; None is no node."""
    return node is not None and isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, kinds)


def operands_of(variable: Variable, kinds: type | tuple[type, ...]) -> list[Variable]:
    """What a variable is computed of by an elementwise operation of one of these kinds; nothing if it is not."""
    return list(variable.owner.inputs) if is_elementwise(variable.owner, kinds) else []


def is_constant(variable: Variable, value: float) -> bool:
    """Whether a variable is a constant with this value everywhere."""
    return isinstance(variable, Constant) and bool(np.all(np.asarray(variable.data) == value))


def reduced_axes(op: Op, ndim: int) -> list[int]:
    """Axes, counted from the first, over which an operation reduces an array of so many."""
    return list(range(ndim)) if op.axis is None else [axis % ndim for axis in op.axis]


def transposed_of(variable: Variable) -> Variable | None:
    """That of which a matrix, or a stack of them, is the transpose; None if it is not written as one."""
    node = variable.owner
    if node is None or not isinstance(node.op, DimShuffle) or node.op.input_ndim < 2:
        return None
    *batch, row, column = range(node.op.input_ndim)
    return node.inputs[0] if list(node.op.new_order) == [*batch, column, row] else None


def known_entry(entry: Any) -> Any:
    """An entry of an index in plain numbers; None if it is computed."""
    if isinstance(entry, slice):
        ends = entry.start, entry.stop, entry.step
        known = [end if end is None else known_entry(end) for end in ends]
        return None if any(k is None and end is not None for k, end in zip(known, ends, strict=True)) else slice(*known)
    if isinstance(entry, Constant):
        entry = entry.data
    if isinstance(entry, Variable):
        return None
    return None if entry is None or isinstance(entry, bool) else int(entry)
