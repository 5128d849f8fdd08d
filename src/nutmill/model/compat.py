"""Where the two lines of PyTensor differ: homes of linear algebra, indices of vectors, the axis of a `Join`."""

from inspect import signature

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.tensor.basic import Join
from pytensor.tensor.subtensor import AdvancedIncSubtensor, AdvancedSubtensor
from pytensor.tensor.type import TensorType
from pytensor.tensor.type_other import NoneTypeT

_AXIS_IN_OP = "axis" in signature(Join.__init__).parameters

try:
    from pytensor.tensor.linalg import (
        Cholesky,
        CholeskySolve,
        Det,
        MatrixInverse,
        SLogDet,
        Solve,
        SolveTriangular,
    )
except ImportError:  # PyTensor 2
    from pytensor.tensor.nlinalg import Det, MatrixInverse, SLogDet
    from pytensor.tensor.slinalg import Cholesky, CholeskySolve, Solve, SolveTriangular

try:
    from pytensor.tensor.subtensor import AdvancedIncSubtensor1, AdvancedSubtensor1
except ImportError:  # PyTensor 3 has one op for all advanced indices
    AdvancedSubtensor1, AdvancedIncSubtensor1 = AdvancedSubtensor, AdvancedIncSubtensor

__all__ = ["CHANGING", "TAKING", "Cholesky", "CholeskySolve", "Det", "MatrixInverse", "SLogDet", "Solve"]
__all__ += ["SolveTriangular", "changed_rows", "indexed_axes", "join_axis", "taken_rows"]

TAKING = (AdvancedSubtensor, AdvancedSubtensor1)
CHANGING = (AdvancedIncSubtensor, AdvancedIncSubtensor1)


def taken_rows(node: Apply | None) -> tuple[Variable, list[Variable]] | None:
    """The array and the vectors of integers of ``x[i]`` or ``x[i, j]``, if that is what the node computes."""
    if node is None or type(node.op) not in TAKING or not _is_by_rows(node, n_before=1):
        return None
    return node.inputs[0], node.inputs[1:]


def changed_rows(node: Apply) -> tuple[Variable, Variable, list[Variable]] | None:
    """The array, the values and the vectors of integers of ``x[i] += values`` or ``x[i, j] = values``."""
    if type(node.op) not in CHANGING or not _is_by_rows(node, n_before=2):
        return None
    return node.inputs[0], node.inputs[1], node.inputs[2:]


def _is_by_rows(node: Apply, n_before: int) -> bool:
    indices = node.inputs[n_before:]
    # `idx_list` is PyTensor 3's: which axes are indexed, and by which operand.
    entries = list(getattr(node.op, "idx_list", range(len(indices))))
    leading, others = entries[: len(indices)], entries[len(indices) :]
    is_leading = leading == list(range(len(indices))) and all(entry == slice(None) for entry in others)
    return bool(indices) and is_leading and all(_is_vector_of_integers(index) for index in indices)


def _is_vector_of_integers(index: Variable) -> bool:
    kind = index.type
    return (
        isinstance(kind, TensorType)
        and kind.ndim == 1
        and kind.dtype.startswith(("int", "uint"))
        and kind.dtype != "uint64"
    )


def join_axis(node: Apply) -> tuple[int | None, int]:
    """The axis of a `Join`, None if it is not known, and the number of operands before the arrays."""
    if _AXIS_IN_OP:
        return node.op.axis, 0
    axis = node.inputs[0]
    return (int(axis.data) if isinstance(axis, Constant) else None), 1


def indexed_axes(node: Apply) -> list[tuple[int, Variable]]:
    """Axes that ``x[...]`` takes by arrays of integers, each with its array; none for other nodes."""
    if not isinstance(node.op, TAKING):
        return []
    indices = node.inputs[1:]
    # An entry is the number of an operand or a slice in PyTensor 3; in PyTensor 2 each operand is an index itself.
    entries = list(getattr(node.op, "idx_list", range(len(indices))))
    found, axis = [], 0
    for entry in entries:
        index = indices[entry] if isinstance(entry, int) else None
        kind = index.type if index is not None else None
        if isinstance(kind, TensorType) and kind.dtype.startswith(("int", "uint")):
            found.append((axis, index))
        axis += kind.ndim if isinstance(kind, TensorType) and kind.dtype == "bool" else not isinstance(kind, NoneTypeT)
    return found
