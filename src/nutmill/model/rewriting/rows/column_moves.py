"""Operations that move columns of tables: one taken, parts, parts set or added to, tables side by side."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.scalar.basic import ScalarConstant
from pytensor.tensor.basic import Join, Split, cast, zeros
from pytensor.tensor.shape import SpecifyShape, specify_shape
from pytensor.tensor.subtensor import IncSubtensor, Subtensor, inc_subtensor

from nutmill.model.compat import index_entries, index_of_added_rows, join_axis, split_axis
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting.rows.scatters import is_zero


class Column(NamedTuple):
    """A column of a table."""

    table: Variable
    number: int
    n_columns: int | None  # of the table, if that is known where the column is taken

    def of_rows(self, transposed: Variable) -> Variable:
        """Take the column as a row of the transposed table, which is checked to have as many rows as it should."""
        is_open = self.n_columns is not None and transposed.type.shape[0] is None
        return (specify_shape(transposed, (self.n_columns, None)) if is_open else transposed)[self.number]


def column_of(node: Apply | None) -> Column | None:
    """The column that a node takes, ``table[:, k]`` of a known k; None if it does something else."""
    if node is None or not isinstance(node.op, Subtensor) or not is_known(node.op) or node.inputs[0].type.ndim != 2:
        return None
    entries = index_entries(node)
    number = _number(entries[1]) if len(entries) == 2 and entries[0] == slice(None) else None
    if number is None or isinstance(number, bool):
        return None
    table = node.inputs[0]
    is_checked = table.owner is not None and isinstance(table.owner.op, SpecifyShape)
    return Column(table.owner.inputs[0] if is_checked else table, number, table.type.shape[1])


def moves_columns(node: Apply) -> bool:
    """Whether an operation moves whole columns, by places that are known."""
    if isinstance(node.op, Join):
        axis, first = join_axis(node)
        return axis == 1 and all(part.type.shape[1] is not None for part in node.inputs[first:])
    if isinstance(node.op, Split):
        return split_axis(node) == 1 and isinstance(node.inputs[-1], Constant)
    if isinstance(node.op, Subtensor | IncSubtensor):
        values = node.inputs[1] if isinstance(node.op, IncSubtensor) else None
        is_wide = values is None or (values.type.ndim == 2 and values.type.shape[0] != 1)
        return is_wide and node.inputs[0].type.ndim == 2 and _places(node) is not None
    return False


def moved(node: Apply, columns_of: Callable[[Variable], Sequence[Variable]]) -> list[list[Variable]]:
    """The columns of each result, of those of the operands."""
    if isinstance(node.op, Join):
        return [[column for part in node.inputs[join_axis(node)[1] :] for column in columns_of(part)]]
    whole = list(columns_of(node.inputs[0]))
    if isinstance(node.op, Split):
        ends = np.cumsum(node.inputs[-1].data)
        return [whole[end - length : end] for end, length in zip(ends, node.inputs[-1].data, strict=True)]
    places = _places(node)
    assert places is not None
    if isinstance(node.op, Subtensor):
        return [[whole[place] for place in places]]
    given = columns_of(node.inputs[1])
    for number, place in enumerate(places):
        value = cast(given[number if len(given) > 1 else 0], node.outputs[0].type.dtype)
        whole[place] = value if node.op.set_instead_of_inc else whole[place] + value
    return [whole]


def adds_rows(client: object, table: Variable) -> bool:
    """Whether this adds the rows of a table to those of another one, by an index of data."""
    if not isinstance(client, Apply) or len(client.inputs) < 2 or client.inputs[1] is not table:
        return False
    index = index_of_added_rows(client)
    return index is not None and index.owner is None and client.inputs[0].type.shape[1:] == table.type.shape[1:]


def rows_added(node: Apply, columns: Sequence[Variable]) -> list[Variable]:
    """Columns of what a node that `adds_rows` of a table computes, of the columns of the table."""
    base, index = node.inputs[0], node.inputs[2]
    nothing = zeros((base.shape[0],), dtype=base.type.dtype)
    sums = [inc_subtensor(nothing[index], cast(column, base.type.dtype)) for column in columns]
    return sums if is_zero(base) else [base[:, k] + column for k, column in enumerate(sums)]


def _places(node: Apply) -> list[int] | None:
    """Numbers of the columns that a slice names; None if it names no columns of all rows, or is not known."""
    n_columns = node.inputs[0].type.shape[1]
    entries = index_entries(node)
    if n_columns is None or len(entries) != 2 or entries[0] != slice(None) or not isinstance(entries[1], slice):
        return None
    ends = [_number(end) for end in (entries[1].start, entries[1].stop, entries[1].step)]
    return None if False in ends else list(range(n_columns)[slice(*ends)])


def _number(index: object) -> int | bool | None:
    """An index, or an end of a slice, which may be None; False if it is computed."""
    if index is None or isinstance(index, int):
        return index
    return int(index.data) if isinstance(index, Constant | ScalarConstant) else False
