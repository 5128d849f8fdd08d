"""One value of each row of a table, at a column that data name: written as a sum over the row, for `columns`.

The density of ordered answers or categories computes a table of all answers' probabilities, takes one of each row by
two arrays of indices, and adds its gradient at the same places of a table of zeros.
"""

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable, equal_computations
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import copy_stack_trace, graph_rewriter
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.basic import ARange, constant, switch
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import all as all_of
from pytensor.tensor.math import and_, eq, ge, lt

from nutmill.errors import INDEX_OUT_OF_RANGE
from nutmill.model.compat import TAKING, adds_by_index, advanced_indices
from nutmill.model.graphs.few import FEW
from nutmill.model.graphs.patterns import is_constant
from nutmill.model.rewriting.rows.scatters import is_zero

_IN_RANGE = CheckAndRaise(IndexError, INDEX_OUT_OF_RANGE)


@graph_rewriter
def choose_by_sums(fgraph: FunctionGraph) -> None:
    """Replace elements taken of each row, and added to each row, by sums of rows that are zero elsewhere."""
    for node in fgraph.toposort():
        if isinstance(node.op, TAKING):
            _replace(fgraph, node, _taken(fgraph, node))
        elif adds_by_index(node):
            _replace(fgraph, node, _added(fgraph, node))


def _replace(fgraph: FunctionGraph, node: Apply, new: Variable | None) -> None:
    if new is not None and new.type.ndim == node.outputs[0].type.ndim and new.type.dtype == node.outputs[0].type.dtype:
        copy_stack_trace(node.outputs[0], new)
        fgraph.replace(node.outputs[0], new, reason="choose by sums", import_missing=True)


def _taken(fgraph: FunctionGraph, node: Apply) -> Variable | None:
    table = node.inputs[0]
    chosen = _chosen(fgraph, node)
    if chosen is None:
        return None
    of_rows = switch(chosen, table, np.zeros((), table.type.dtype)).sum(axis=1, dtype=table.type.dtype)
    return of_rows if node.outputs[0].type.ndim == 1 else of_rows.dimshuffle(0, "x")


def _added(fgraph: FunctionGraph, node: Apply) -> Variable | None:
    table, values = node.inputs[:2]
    chosen = _chosen(fgraph, node)
    if chosen is None or values.type.ndim != node.inputs[-1].type.ndim:
        return None
    if values.type.ndim == 1:
        values = values.dimshuffle(0, "x")
    if not values.type.broadcastable[1]:
        return None
    placed = switch(chosen, values, np.zeros((), values.type.dtype))
    return placed if is_zero(table) else table + placed


def _chosen(fgraph: FunctionGraph, node: Apply) -> Variable | None:
    """Which elements of a table two indices name, if they name one of each of all its rows."""
    table, entries = node.inputs[0], advanced_indices(node)
    if table.type.ndim != 2 or table.type.dtype not in ("float64", "float32") or entries is None or len(entries) != 2:
        return None
    rows, column = entries
    n_columns = table.type.shape[1]
    if rows is None or column is None or n_columns is None or not 2 <= n_columns <= FEW:
        return None
    if table.type.broadcastable[0]:  # its only row is taken many times
        return None
    if not _is_all_rows(fgraph, _as_vector(rows), table) or _as_vector(column) is None:
        return None
    column = _as_vector(column)
    is_named = and_(ge(column, -n_columns), lt(column, n_columns))
    column = _IN_RANGE(column, all_of(is_named))
    column = switch(lt(column, 0), column + n_columns, column)
    return eq(column.dimshuffle(0, "x"), constant(np.arange(n_columns)[None, :]))


def _as_vector(index: Variable) -> Variable | None:
    """An index of as many values as there are rows, below each other or not; None if it broadcasts."""
    if isinstance(index, Constant) and index.type.ndim == 2 and index.type.shape[1] == 1:
        return constant(index.data[:, 0])
    if index.type.ndim == 2 and index.type.broadcastable[1]:
        expanded = index.owner is not None and isinstance(index.owner.op, DimShuffle)
        index = index.owner.inputs[0] if expanded and index.owner.inputs[0].type.ndim == 1 else index.dimshuffle(0)
    return index if index.type.ndim == 1 and not index.type.broadcastable[0] else None


def _is_all_rows(fgraph: FunctionGraph, rows: Variable | None, table: Variable) -> bool:
    """Whether an index counts all rows of a table, by lengths that are known to be the same."""
    if isinstance(rows, Constant):
        return table.type.shape[0] == len(rows.data) and bool((rows.data == np.arange(len(rows.data))).all())
    if rows is None or rows.owner is None or not isinstance(rows.owner.op, ARange):
        return False
    start, stop, step = rows.owner.inputs
    length = fgraph.shape_feature.get_shape(table, 0)
    return is_constant(start, 0) and is_constant(step, 1) and equal_computations([stop], [length])
