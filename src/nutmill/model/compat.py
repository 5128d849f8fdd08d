"""Where the two lines of PyTensor differ: homes of linear algebra, indices, axes of `Join` and `Split`."""

from inspect import signature
from typing import NamedTuple

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.scan.op import Scan
from pytensor.tensor.basic import Join
from pytensor.tensor.special import Softmax
from pytensor.tensor.subtensor import AdvancedIncSubtensor, AdvancedSubtensor, IncSubtensor, indices_from_subtensor
from pytensor.tensor.type import TensorType
from pytensor.tensor.type_other import MakeSlice, NoneTypeT

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
    "TakenRows",
    "adds_by_index",
    "advanced_indices",
    "index_entries",
    "index_of_added_rows",
    "indexed_axes",
    "is_lower",
    "join_axis",
    "split_axis",
    "taken_rows",
    "thawed",
]

# PyTensor 2 rewrites the step of a loop when it is compiled. That is not read from its Numba form of loops: models that
# the cache knows do without Numba.
STEPS_HAVE_MODES = not hasattr(Scan, "clone_with_inner_graph")

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


def index_entries(node: Apply) -> list[Variable | slice]:
    """What indexes ``x[...]``, taken or changed, from its first axis on: variables, and slices of them."""
    operands = node.inputs[2 if isinstance(node.op, (IncSubtensor, *CHANGING)) else 1 :]
    entries = getattr(node.op, "idx_list", None)
    return [*map(_as_slice, operands)] if entries is None else [*indices_from_subtensor(operands, entries)]


def _as_slice(index: Variable) -> Variable | slice:
    """A slice that is an operand of its own in PyTensor 2, as one of Python; other indices as they are."""
    if isinstance(index, Constant) and isinstance(index.data, slice):
        return index.data
    if index.owner is None or not isinstance(index.owner.op, MakeSlice):
        return index
    return slice(*(None if isinstance(end.type, NoneTypeT) else end for end in index.owner.inputs))


def advanced_indices(node: Apply) -> list[Variable | None] | None:
    """For each indexed axis what indexes it, or None where all of it is taken; None if there is more to it.

    `node` is of one of `TAKING` or `CHANGING`.
    """
    found: list[Variable | None] = []
    for entry in index_entries(node):
        is_whole = entry == slice(None)
        if not is_whole and not (isinstance(entry, Variable) and _is_of_integers(entry)):
            return None
        found.append(None if is_whole else entry)
    return found


def _is_of_integers(index: Variable) -> bool:
    kind = index.type
    return isinstance(kind, TensorType) and kind.dtype.startswith(("int", "uint")) and kind.dtype != "uint64"


class TakenRows(NamedTuple):
    """Rows of an array that a vector of integers names."""

    array: Variable
    index: Variable


def taken_rows(node: Apply | None) -> TakenRows | None:
    """The array and the index of ``x[i]``, if such rows are what the node computes."""
    if node is None or type(node.op) not in TAKING:
        return None
    index, *others = advanced_indices(node) or [None]
    is_by_rows = index is not None and index.type.ndim == 1 and not any(other is not None for other in others)
    return TakenRows(node.inputs[0], index) if is_by_rows else None


def adds_by_index(node: Apply) -> bool:
    """Whether a node adds to elements that arrays name, to each as often as it is named."""
    is_change = isinstance(node.op, CHANGING) and not node.op.set_instead_of_inc
    return is_change and not getattr(node.op, "ignore_duplicates", False)


def index_of_added_rows(node: Apply) -> Variable | None:
    """The vector of integers of ``x[i] += rows``, if that is what the node computes."""
    indices = advanced_indices(node) if adds_by_index(node) else None
    if indices is None or len(indices) != 1 or indices[0] is None or indices[0].type.ndim != 1:
        return None
    return indices[0]


def indexed_axes(node: Apply) -> list[tuple[int, Variable]]:
    """Axes of ``x[...]``, taken or changed, that arrays index, each with its array; none of other nodes.

    An array of integers indexes one axis. A mask, of truth values, indexes as many as it has, from this one on.
    """
    if not isinstance(node.op, (*TAKING, *CHANGING)):
        return []
    found, axis = [], 0
    for entry in index_entries(node):
        kind = entry.type if isinstance(entry, Variable) else None
        if isinstance(kind, TensorType):
            found.append((axis, entry))
        axis += kind.ndim if isinstance(kind, TensorType) and kind.dtype == "bool" else not isinstance(kind, NoneTypeT)
    return found


def split_axis(node: Apply) -> int | None:
    """The axis of a `Split`, None if it is not known."""
    if _AXIS_IN_OP:
        return node.op.axis
    axis = node.inputs[1]
    return int(axis.data) % node.inputs[0].type.ndim if isinstance(axis, Constant) else None


def join_axis(node: Apply) -> tuple[int | None, int]:
    """The axis of a `Join`, None if it is not known, and the number of operands before the arrays."""
    if _AXIS_IN_OP:
        return node.op.axis, 0
    axis = node.inputs[0]
    return (int(axis.data) if isinstance(axis, Constant) else None), 1


def is_lower(op: Eigh | EighGrad) -> bool:
    """Whether the lower triangle of a symmetric matrix is read."""
    return op.UPLO == "L" if _TRIANGLE_IN_LETTER else op.lower
