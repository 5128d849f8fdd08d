"""Where the two lines of PyTensor differ: homes of linear algebra, advanced indices, axes of `Join` and `Split`."""

from inspect import signature

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import scan
from pytensor.tensor.basic import Join
from pytensor.tensor.special import Softmax
from pytensor.tensor.subtensor import AdvancedIncSubtensor, AdvancedSubtensor
from pytensor.tensor.type import TensorType
from pytensor.tensor.type_other import NoneTypeT

_AXIS_IN_OP = "axis" in signature(Join.__init__).parameters

try:
    from pytensor.conditional.op import IfElse
except ImportError:  # PyTensor 2
    from pytensor.ifelse import IfElse

try:
    from pytensor.tensor.linalg import (
        QR,
        Cholesky,
        CholeskySolve,
        Det,
        MatrixInverse,
        SLogDet,
        Solve,
        SolveTriangular,
    )
    from pytensor.tensor.linalg.constructors import BlockDiagonal
    from pytensor.tensor.linalg.decomposition.eigen import Eigh, Eigvalsh
    from pytensor.tensor.linalg.products import Expm
except ImportError:  # PyTensor 2
    from pytensor.tensor.nlinalg import Det, Eigh, EighGrad, MatrixInverse, SLogDet
    from pytensor.tensor.slinalg import (
        QR,
        BlockDiagonal,
        Cholesky,
        CholeskySolve,
        Eigvalsh,
        Expm,
        Solve,
        SolveTriangular,
    )
else:

    class EighGrad(Op):  # type: ignore[no-redef]
        """No node has this op: PyTensor 3 writes this gradient as a graph."""


try:
    from pytensor.tensor.subtensor import AdvancedIncSubtensor1, AdvancedSubtensor1
except ImportError:  # PyTensor 3 has one op for all advanced indices
    AdvancedSubtensor1, AdvancedIncSubtensor1 = AdvancedSubtensor, AdvancedIncSubtensor

try:
    from pytensor.tensor.special import SoftmaxGrad
except ImportError:  # PyTensor 3 takes the gradient of the graph that a softmax is
    SoftmaxGrad = Softmax

__all__ = [
    "CHANGING",
    "FUSES_ROWS",
    "QR",
    "STEPS_HAVE_MODES",
    "TAKING",
    "WRONG_REWRITES",
    "BlockDiagonal",
    "Cholesky",
    "CholeskySolve",
    "Det",
    "Eigh",
    "EighGrad",
    "Eigvalsh",
    "Expm",
    "IfElse",
    "MatrixInverse",
    "SLogDet",
]
__all__ += [
    "SoftmaxGrad",
    "Solve",
    "SolveTriangular",
    "advanced_indices",
    "indexed_axes",
    "is_lower",
    "join_axis",
    "split_axis",
    "taken_rows",
    "thawed",
]

STEPS_HAVE_MODES = "get_mode" in vars(scan)  # PyTensor 2 rewrites the step of a loop when it is compiled

# PyTensor's rewrites that give wrong numbers. It takes a determinant from factors that are there for something else:
# PyTensor 2 forgets the sign of the LU factors' row exchanges, and its factors of a singular matrix are NaN where the
# determinant is zero. PyTensor 2 takes the root of a square for the square of a root, NaN for what is negative, and
# the other way round.
WRONG_REWRITES = ("det_of_matrix_factorized_elsewhere", *(("local_sqrt_sqr",) if STEPS_HAVE_MODES else ()))
# PyTensor 3 fuses indexed rows with loops.
FUSES_ROWS = ("fuse_indexed_into_elemwise",) if not STEPS_HAVE_MODES else ()

_TRIANGLE_IN_LETTER = "lower" not in Eigh.__props__

TAKING = (AdvancedSubtensor, AdvancedSubtensor1)
CHANGING = (AdvancedIncSubtensor, AdvancedIncSubtensor1)


def thawed(fgraph: FunctionGraph) -> FunctionGraph:
    """A copy, which may be changed, of the graph within an operation; PyTensor 3 freezes such graphs."""
    return fgraph.clone() if isinstance(fgraph, FunctionGraph) else fgraph.unfreeze()


def taken_rows(node: Apply | None) -> tuple[Variable, list[Variable]] | None:
    """The array and the vectors of integers of ``x[i]`` or ``x[i, j]``, if that is what the node computes."""
    if node is None or type(node.op) not in TAKING or not _is_by_rows(node, n_before=1):
        return None
    return node.inputs[0], [index for index in advanced_indices(node, 1) or () if index is not None]


def advanced_indices(node: Apply, n_before: int) -> list[Variable | None] | None:
    """For each indexed axis the operand that indexes it, or None where all of it is taken; None if there is more to it.

    `node` is of one of `TAKING` or `CHANGING`, and has `n_before` operands before the indices.
    """
    operands = node.inputs[n_before:]
    # `idx_list` is PyTensor 3's: which axes are indexed, and by which operand.
    entries = getattr(node.op, "idx_list", operands)
    found: list[Variable | None] = []
    for entry in entries:
        index = operands[entry] if isinstance(entry, int) else entry
        is_whole = index == slice(None) or (isinstance(index, Constant) and _is_open(index.data))
        if not is_whole and not (isinstance(index, Variable) and _is_of_integers(index)):
            return None
        found.append(None if is_whole else index)
    return found


def _is_open(value: object) -> bool:
    return isinstance(value, slice) and value == slice(None)


def _is_by_rows(node: Apply, n_before: int) -> bool:
    indices = advanced_indices(node, n_before)
    if not indices or indices[0] is None:
        return False
    vectors = [index for index in indices if index is not None]
    return indices[: len(vectors)] == vectors and all(vector.type.ndim == 1 for vector in vectors)


def _is_of_integers(index: Variable) -> bool:
    kind = index.type
    return isinstance(kind, TensorType) and kind.dtype.startswith(("int", "uint")) and kind.dtype != "uint64"


def split_axis(node: Apply) -> int | None:
    """The axis of a `Split`, None if it is not known."""
    if _AXIS_IN_OP:
        return node.op.axis
    axis = node.inputs[1]
    return int(axis.data) % node.inputs[0].type.ndim if isinstance(axis, Constant) else None


def is_lower(op: Eigh | EighGrad) -> bool:
    """Whether the lower triangle of a symmetric matrix is read."""
    return op.UPLO == "L" if _TRIANGLE_IN_LETTER else op.lower


def join_axis(node: Apply) -> tuple[int | None, int]:
    """The axis of a `Join`, None if it is not known, and the number of operands before the arrays."""
    if _AXIS_IN_OP:
        return node.op.axis, 0
    axis = node.inputs[0]
    return (int(axis.data) if isinstance(axis, Constant) else None), 1


def indexed_axes(node: Apply) -> list[tuple[int, Variable]]:
    """Axes of ``x[...]``, taken or changed, that arrays index, each with its array; none of other nodes.

    An array of integers indexes one axis. A mask, of truth values, indexes as many as it has, from this one on.
    """
    if not isinstance(node.op, (*TAKING, *CHANGING)):
        return []
    indices = node.inputs[1 if isinstance(node.op, TAKING) else 2 :]
    # An entry is the number of an operand or a slice in PyTensor 3; in PyTensor 2 each operand is an index itself.
    entries = list(getattr(node.op, "idx_list", range(len(indices))))
    found, axis = [], 0
    for entry in entries:
        index = indices[entry] if isinstance(entry, int) else None
        kind = index.type if index is not None else None
        if isinstance(kind, TensorType):
            found.append((axis, index))
        axis += kind.ndim if isinstance(kind, TensorType) and kind.dtype == "bool" else not isinstance(kind, NoneTypeT)
    return found
