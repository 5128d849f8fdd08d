"""Finds loops over rows of data that may come in another order: what they read, and what becomes of their results."""

from collections import Counter
from collections.abc import Mapping, Set
from typing import NamedTuple

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.scalar.basic import Mul
from pytensor.tensor.elemwise import Elemwise

from nutmill.model.compat import index_of_added_rows, taken_rows
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting.fusion import is_full_reduction, is_numeric
from nutmill.model.rewriting.rows.column_moves import Column, column_of


class RowOperand(NamedTuple):
    """What a loop reads: an array, by an index of data if it has one, or a column of data."""

    variable: Variable
    by: Variable | None = None
    maker: Apply | None = None  # the loop that makes it row by row
    column: Column | None = None  # of that array
    is_row: bool = False


class RowClient(NamedTuple):
    """What becomes of a result of the loop, other than a reduction: added by an index, or read by another loop."""

    node: Apply
    output: int
    by: Variable | None = None
    is_loop: bool = False


class RowLoop(NamedTuple):
    """A loop over rows of data, all of which may come in another order.

    Loops that read products of wide matrices are none: in tiles of rows (`tiles`) they gain more. Those of narrow ones
    read columns (`narrow_products`).
    """

    node: Apply
    operands: list[RowOperand]
    reductions: list[tuple[int, Apply]]
    clients: list[RowClient]


def connected_loops(fgraph: FunctionGraph, node: Apply, data: Set[Variable]) -> dict[Apply, RowLoop]:
    """Find the loops that hand rows to a loop, or take them from it; none if one of them needs its own order."""
    found: dict[Apply, RowLoop] = {}
    left = [node]
    while left:
        node = left.pop()
        if node in found:
            continue
        loop = _loop(fgraph, node, data)
        if loop is None:
            return {}
        found[node] = loop
        left += [operand.maker for operand in loop.operands if operand.maker is not None]
        left += [client.node for client in loop.clients if client.is_loop]
    return found


def chosen_index(loops: Mapping[Apply, RowLoop]) -> Variable | None:
    """Choose the index that most of the loops goes by, an addition counting twice; None if there is none to add by."""
    votes, added = Counter[Variable](), Counter[Variable]()
    for loop in loops.values():
        votes.update(operand.by for operand in loop.operands if operand.by is not None)
        added.update(client.by for client in loop.clients if client.by is not None)
    chosen = max(added, key=lambda index: votes[index] + 2 * added[index], default=None)
    return chosen if votes[chosen] else None


def _loop(fgraph: FunctionGraph, node: Apply, data: Set[Variable]) -> RowLoop | None:
    if not is_numeric(node) or not is_known(node.op) or not all(map(_has_rows, node.outputs)):
        return None
    operands = [_operand(variable, data) for variable in node.inputs]
    loop = RowLoop(node, [operand for operand in operands if operand is not None], [], [])
    if len(loop.operands) < len(operands):
        return None
    for number, variable in enumerate(node.outputs):
        for client, _ in fgraph.clients[variable]:
            if is_full_reduction(client) and not isinstance(client.op.scalar_op, Mul):
                loop.reductions.append((number, client))
                continue
            found = _client(client, number, variable, data)
            if found is None:
                return None
            loop.clients.append(found)
    return loop


def _has_rows(variable: Variable) -> bool:
    """Whether it is a vector with a value for each row: one value for all may be read by loops over unlike data."""
    return variable.type.ndim == 1 and not variable.type.broadcastable[0]


def _operand(variable: Variable, data: Set[Variable]) -> RowOperand | None:
    if variable.type.broadcastable[0]:
        return RowOperand(variable)
    if variable in data:
        return RowOperand(variable, is_row=True)
    node = variable.owner
    rows = taken_rows(node)
    if rows is not None and is_known(node.op) and rows.array.type.ndim == 1:
        return RowOperand(rows.array, by=rows.index) if rows.index in data else None
    if (column := column_of(node)) is not None:
        return RowOperand(column.table, column=column) if column.table in data else None
    return RowOperand(variable, maker=node) if node is not None and isinstance(node.op, Elemwise) else None


def _client(client: object, output: int, variable: Variable, data: Set[Variable]) -> RowClient | None:
    if not isinstance(client, Apply) or not client.outputs or not is_known(client.op):
        return None
    if isinstance(client.op, Elemwise):
        return RowClient(client, output, is_loop=True)
    base, index = client.inputs[0], index_of_added_rows(client)
    is_sum = index in data and client.inputs[1] is variable and base.type.ndim == 1
    return RowClient(client, output, by=index) if is_sum and np.dtype(base.type.dtype).kind == "f" else None
