"""Tables of a few columns, a row for each observation, are computed column by column: one loop over the rows.

A density of mixtures, categories or ordered answers has a table of a row for each observation and a column for each
component. Element by element, with sums along the rows in between, that is many loops, each with a loop of three or
five inside. As vectors, one for each column, all of it becomes one loop, which PyTensor and `fusion` fuse.
"""

from collections.abc import Iterable, Sequence
from functools import reduce

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import copy_stack_trace, graph_rewriter
from pytensor.scalar.basic import AND, OR, Add, Maximum, Minimum, Mul
from pytensor.tensor import math
from pytensor.tensor.basic import Alloc, alloc, cast, constant, stack
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.shape import specify_shape

from nutmill.model.compat import taken_rows
from nutmill.model.graphs.few import FEW
from nutmill.model.rewriting.rows.column_moves import adds_rows, moved, moves_columns, rows_added

_REDUCERS = {Add: math.sum, Mul: math.prod, Maximum: math.max, Minimum: math.min, AND: math.all, OR: math.any}


@graph_rewriter
def compute_by_columns(fgraph: FunctionGraph) -> None:
    """Replace what is computed of tables, where one is reduced along an axis, by operations on their columns."""
    groups = _groups([v for node in fgraph.toposort() for v in node.outputs if _is_computed(v)])
    chosen = {
        table: None
        for group in groups
        if any(
            _is_partial(client) or adds_rows(client, table) for table in group for client, _ in fgraph.clients[table]
        )
        for table in group
    }
    if chosen:
        _Columns(fgraph, chosen).replace()


def _is_table(variable: Variable) -> bool:
    """Whether a variable has open rows and so few columns."""
    shape = variable.type.shape
    many = len(shape) == 2 and (shape[0] is None or shape[0] > FEW)
    return many and shape[1] is not None and 1 <= shape[1] <= FEW


def _is_computed(variable: Variable) -> bool:
    """Whether a table is made element by element, or of columns of others."""
    node = variable.owner
    return node is not None and _is_table(variable) and (isinstance(node.op, Elemwise) or moves_columns(node))


def _is_partial(client: object) -> bool:
    """Whether this is a reduction of one axis of two that can be written by columns."""
    return (
        isinstance(client, Apply) and _is_reduction(client) and client.op.axis is not None and len(client.op.axis) == 1
    )


def _is_reduction(node: Apply) -> bool:
    if not isinstance(node.op, CAReduce) or type(node.op.scalar_op) not in _REDUCERS:
        return False
    result = node.outputs[0].type.dtype
    return (getattr(node.op, "acc_dtype", None) or result) == result and node.inputs[0].type.ndim == 2


def _groups(tables: Sequence[Variable]) -> list[list[Variable]]:
    """Tables, in the order in which they are computed, by which of them are computed of each other."""
    group_of: dict[Variable, list[Variable]] = {}
    for table in tables:
        near = [group_of[v] for v in (*table.owner.inputs, *table.owner.outputs) if v in group_of]
        merged = list(dict.fromkeys([*(v for group in near for v in group), table]))
        group_of.update(dict.fromkeys(merged, merged))
    return list({id(group): group for group in group_of.values()}.values())


class _Columns:
    """The columns of chosen tables of a graph, and what takes the place of what reads these."""

    def __init__(self, fgraph: FunctionGraph, chosen: Iterable[Variable]):
        self._fgraph = fgraph
        self._chosen = dict.fromkeys(chosen)
        self._columns: dict[Variable, list[Variable]] = {}
        self._replaced: dict[Variable, Variable] = {}

    def replace(self) -> None:
        """Compute the tables by columns, and put what others read of them together again."""
        order = [v for node in self._fgraph.toposort() for v in node.outputs if v in self._chosen]
        for table in order:
            columns = self._of(table)
            for client, _ in self._fgraph.clients[table]:
                result = self._reduced(client, columns) if isinstance(client, Apply) else None
                if adds_rows(client, table):
                    # Tables that are computed of the sums read them as columns, too.
                    self._columns[client.outputs[0]] = rows_added(client, columns)
                    result = _side_by_side(self._columns[client.outputs[0]])
                if result is not None:
                    self._replaced[client.outputs[0]] = result
            if any(self._needs_whole(client, table) for client, _ in self._fgraph.clients[table]):
                self._replaced[table] = _side_by_side(columns)
        for old, new in self._replaced.items():
            copy_stack_trace(old, new)
        self._fgraph.replace_all(list(self._replaced.items()), reason="compute by columns")

    def _needs_whole(self, client: object, table: Variable) -> bool:
        if not isinstance(client, Apply) or not client.outputs:  # the graph's caller
            return True
        if adds_rows(client, table):
            return False
        return client.outputs[0] not in self._chosen and not _is_reduction(client) and not _is_single(client)

    def _reduced(self, client: Apply, columns: Sequence[Variable]) -> Variable | None:
        """What a reduction of a table, or its only column, is in terms of the columns."""
        if _is_single(client):
            return columns[0]
        if not _is_reduction(client):
            return None
        axes, dtype = client.op.axis, client.outputs[0].type.dtype
        columns = [column if column.type.dtype == dtype else cast(column, dtype) for column in columns]
        if axes is not None and tuple(axes) == (0,):
            return stack([_over_rows(client.op, column) for column in columns])
        combined = reduce(Elemwise(client.op.scalar_op), columns)
        return combined if axes is not None and tuple(axes) == (1,) else _over_rows(client.op, combined)

    def _of(self, variable: Variable) -> list[Variable]:
        """Columns of an operand of two axes: vectors, of one value where it broadcasts over rows."""
        if variable not in self._columns:
            self._columns[variable] = self._made(variable) if variable in self._chosen else self._read(variable)
        return self._columns[variable]

    def _made(self, table: Variable) -> list[Variable]:
        node = table.owner
        n_columns = table.type.shape[1]
        if moves_columns(node):
            self._columns.update(zip(node.outputs, moved(node, self._of), strict=True))
            return self._columns[table]
        operands = [self._of(_of_columns(operand, n_columns)) for operand in node.inputs]
        op = Elemwise(node.op.scalar_op)
        made = [op(*(o[k if len(o) > 1 else 0] for o in operands), return_list=True) for k in range(n_columns)]
        for number, output in enumerate(node.outputs):
            self._columns[output] = [column[number] for column in made]
        return self._columns[table]

    def _read(self, variable: Variable) -> list[Variable]:
        """Columns of what is no table that we compute: views."""
        node, (n_rows, n_columns) = variable.owner, variable.type.shape
        order = list(node.op.new_order) if node is not None and isinstance(node.op, DimShuffle) else None
        if n_columns == 1:
            column = node.inputs[0] if order == [0, "x"] else variable.dimshuffle(0)
            return [self._replaced.get(column, column)]
        if isinstance(variable, Constant) and n_rows == 1:
            return [constant(variable.data[0, k : k + 1]) for k in range(n_columns)]
        if n_rows == 1:
            row = node.inputs[0] if order == ["x", 0] else variable[0]
            return [row[k : k + 1] for k in range(n_columns)]
        if node is not None and isinstance(node.op, Alloc) and node.inputs[0].type.ndim == 0:
            return [alloc(node.inputs[0], node.inputs[1])] * n_columns
        if node is not None and isinstance(node.op, Alloc) and node.inputs[0].type.broadcastable == (True, True):
            return [alloc(node.inputs[0].dimshuffle(0), node.inputs[1])] * n_columns
        rows = taken_rows(node)
        if rows is not None and rows.array.type.shape[1] == n_columns:
            return [rows.array[:, k][rows.index] for k in range(n_columns)]
        return [variable[:, k] for k in range(n_columns)]


def _side_by_side(columns: Sequence[Variable]) -> Variable:
    return stack(columns, axis=1) if len(columns) > 1 else columns[0].dimshuffle(0, "x")


def _is_single(client: Apply) -> bool:
    """Whether this makes a vector of a table of one column."""
    return isinstance(client.op, DimShuffle) and list(client.op.new_order) == [0] and client.inputs[0].type.ndim == 2


def _over_rows(op: CAReduce, column: Variable) -> Variable:
    """One number of a whole column."""
    if isinstance(op.scalar_op, Add | Mul):
        return _REDUCERS[type(op.scalar_op)](column, dtype=column.type.dtype, acc_dtype=column.type.dtype)
    return _REDUCERS[type(op.scalar_op)](column)


def _of_columns(variable: Variable, n_columns: int) -> Variable:
    """Say, and check, how many columns an operand has, if its type does not."""
    return variable if variable.type.shape[1] is not None else specify_shape(variable, (None, n_columns))
