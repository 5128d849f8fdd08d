"""Where the two lines of PyTensor differ: indexing by a vector of integers, and the axis of a `Join`."""

from inspect import signature

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.tensor import subtensor
from pytensor.tensor.basic import Join

_AXIS_IN_OP = "axis" in signature(Join.__init__).parameters

try:
    from pytensor.tensor.subtensor import AdvancedIncSubtensor1, AdvancedSubtensor1
except ImportError:  # PyTensor 3 has one op for all advanced indices
    AdvancedSubtensor1, AdvancedIncSubtensor1 = subtensor.AdvancedSubtensor, subtensor.AdvancedIncSubtensor


def taken_rows(node: Apply | None) -> tuple[Variable, Variable] | None:
    """The array and the vector of integers of ``x[index]``, if that is what the node computes."""
    if node is None or type(node.op) is not AdvancedSubtensor1 or not _is_by_rows(node, n_before=1):
        return None
    return node.inputs[0], node.inputs[1]


def changed_rows(node: Apply) -> tuple[Variable, Variable, Variable] | None:
    """The array, the values and the vector of integers of ``x[index] += values`` or ``x[index] = values``."""
    if type(node.op) is not AdvancedIncSubtensor1 or not _is_by_rows(node, n_before=2):
        return None
    return node.inputs[0], node.inputs[1], node.inputs[2]


def _is_by_rows(node: Apply, n_before: int) -> bool:
    # `idx_list` is PyTensor 3's: which axes are indexed, and by which operand.
    entries = getattr(node.op, "idx_list", (0,))
    if len(node.inputs) != n_before + 1 or entries[0] != 0 or any(entry != slice(None) for entry in entries[1:]):
        return False
    index = node.inputs[n_before].type
    return index.ndim == 1 and index.dtype.startswith(("int", "uint")) and index.dtype != "uint64"


def join_axis(node: Apply) -> tuple[int | None, int]:
    """The axis of a `Join`, None if it is not known, and the number of operands before the arrays."""
    if _AXIS_IN_OP:
        return node.op.axis, 0
    axis = node.inputs[0]
    return (int(axis.data) if isinstance(axis, Constant) else None), 1
