"""Products of a matrix of few columns with coefficients are computed column by column, in the loops over its rows.

A likelihood then reads each row once: its linear predictor, what it makes of that, and what the gradient adds up of
each column are one loop, which vectorises over rows and may go group by group. Data are laid out by columns for it.
"""

from collections.abc import Sequence, Set

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import copy_stack_trace
from pytensor.tensor.basic import stack
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.math import sum as total
from pytensor.tensor.shape import specify_shape

from nutmill.model.compat import taken_rows
from nutmill.model.graphs.few import FEW, FEW_BESIDE_GROUPS
from nutmill.model.graphs.patterns import transposed_of
from nutmill.model.rewriting.blas.ops import LeanMatrixVector
from nutmill.model.rewriting.fusion import FusedLoop
from nutmill.model.rewriting.rows.arranged_inputs import ArrangedInputs
from nutmill.model.rewriting.rows.column_moves import column_of
from nutmill.native.grouping import TRANSPOSED


def multiply_by_columns(fgraph: FunctionGraph, data: Set[Variable]) -> None:
    """Write ``X @ b`` as a sum of columns of data, each times a number, and ``X.T @ r`` as sums over rows.

    Replaces products of matrices of few columns, whose number is known: `FEW`, or `FEW_BESIDE_GROUPS`.
    """
    products = [node for node in fgraph.toposort() if isinstance(node.op, LeanMatrixVector)]
    widths = _widths(fgraph, products, data)
    pairs = []
    for node in products:
        matrix, vector = node.inputs
        if matrix in widths:
            pairs.append((node.outputs[0], _by_columns(_columns(matrix, widths[matrix]), vector)))
        elif transposed_of(matrix) in widths:
            source = transposed_of(matrix)
            pairs.append((node.outputs[0], _sums(_columns(source, widths[source]), vector)))
    for old, new in pairs:
        copy_stack_trace(old, new)
    fgraph.replace_all(pairs, reason="multiply by columns")


def _widths(fgraph: FunctionGraph, products: Sequence[Apply], data: Set[Variable]) -> dict[Variable, int]:
    """Matrices of data whose products are computed by columns, and how many columns each has."""
    widths: dict[Variable, int] = {}
    for node in products:
        matrix, vector = node.inputs
        n_columns = vector.type.shape[0]
        if matrix not in data or matrix.type.ndim != 2 or n_columns is None or n_columns < 2:
            continue
        beside_groups = n_columns <= FEW_BESIDE_GROUPS and _meets_groups(fgraph, node.outputs[0], data)
        if n_columns <= FEW or beside_groups:
            widths[matrix] = n_columns
    return widths


def lay_by_columns(fgraph: FunctionGraph, data: Set[Variable], arranged: ArrangedInputs) -> None:
    """Let loops read columns of narrow matrices of data from a copy in which each lies in one piece.

    The copies are added to `arranged`.
    """
    pairs = []
    for node in fgraph.toposort():
        column = column_of(node)
        is_narrow = column is not None and column.n_columns is not None and column.n_columns <= FEW_BESIDE_GROUPS
        if column is not None and is_narrow and column.table in data and _is_read_by_loops(fgraph, node):
            pairs.append((node.outputs[0], column.of_rows(arranged.get(fgraph, TRANSPOSED, column.table))))
    fgraph.replace_all(pairs, reason="lay by columns")


def _meets_groups(fgraph: FunctionGraph, rows: Variable, data: Set[Variable]) -> bool:
    """Whether what is computed of rows, one by one, depends on parameters that an index of data takes."""
    seen, left = {rows}, [rows]
    while left:
        variable = left.pop()
        taken = taken_rows(variable.owner)
        if taken is not None and taken.array.type.ndim == 1 and taken.index in data:
            return True
        nodes = [variable.owner, *(client for client, _ in fgraph.clients[variable])]
        loops = [node for node in nodes if isinstance(node, Apply) and isinstance(node.op, Elemwise)]
        near = [v for node in loops for v in (*node.inputs, *node.outputs) if v not in seen and _is_rows(v)]
        seen.update(near)
        left += near
    return False


def _is_rows(variable: Variable) -> bool:
    """Whether this is computed row by row."""
    return variable.owner is not None and variable.type.ndim == 1 and not variable.type.broadcastable[0]


def _is_read_by_loops(fgraph: FunctionGraph, node: Apply) -> bool:
    clients = [client for client, _ in fgraph.clients[node.outputs[0]]]
    return all(isinstance(client, Apply) and isinstance(client.op, Elemwise | FusedLoop) for client in clients)


def _columns(matrix: Variable, n_columns: int) -> list[Variable]:
    checked = matrix if matrix.type.shape[1] is not None else specify_shape(matrix, (None, n_columns))
    return [checked[:, k] for k in range(n_columns)]


def _by_columns(columns: list[Variable], vector: Variable) -> Variable:
    first, *others = [column * vector[k] for k, column in enumerate(columns)]
    for other in others:
        first = first + other
    return first


def _sums(columns: list[Variable], rows: Variable) -> Variable:
    dtype = rows.type.dtype
    return stack([total(column * rows, dtype=dtype, acc_dtype=dtype) for column in columns])
