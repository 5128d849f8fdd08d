"""Where the two lines of PyTensor keep the axis of a `Join`: among its operands, or in the op."""

from inspect import signature

from pytensor.graph.basic import Apply, Constant
from pytensor.tensor.basic import Join

_AXIS_IN_OP = "axis" in signature(Join.__init__).parameters


def join_axis(node: Apply) -> tuple[int | None, int]:
    """The axis, None if it is not known, and the number of operands before the arrays."""
    if _AXIS_IN_OP:
        return node.op.axis, 0
    axis = node.inputs[0]
    return (int(axis.data) if isinstance(axis, Constant) else None), 1
