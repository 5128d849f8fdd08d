"""Lets loops over rows of data go group by group, where an index of data says to which group each row belongs.

What a row reads of its group is then read once for all rows of the group, and what rows add to their groups is added up
in registers. The data lie in the order of the groups, in which `native.grouping` puts them when they are bound.
"""

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.utils import InconsistencyError
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.type import vector

from nutmill.model.rewriting.fusion import CompiledOp, Reduced, Stored
from nutmill.model.rewriting.rows.arranged_inputs import ArrangedInputs
from nutmill.model.rewriting.rows.row_loops import RowClient, RowLoop, RowOperand, chosen_index, connected_loops
from nutmill.native.grouping import BEGINS, COLUMNS, COUNTS, PIECES, ROWS

GROUP = -1  # in the place of an index: one value for each group


class Summed(NamedTuple):
    """A result of the loop that is added up over the rows of each piece of a group."""

    output: int


class GroupedLoop(CompiledOp):
    """An elementwise operation on rows in the order of their groups.

    Inputs are the operands, the indices of rows that are meant by some of them, and of the order of rows the index of
    each piece, how many rows it has, and where slices begin. `indices` has for each operand of `scalar_op` the position
    of the index of its rows among the inputs, `GROUP` if it is read by the index of pieces, or None if it has a value
    for each row, or one for all.
    """

    __props__ = ("indices", "results", "scalar_op")

    def __init__(self, scalar_op, indices: Sequence[int | None], results: Sequence[Stored | Reduced | Summed]):
        self.scalar_op = scalar_op
        self.indices = tuple(indices)
        self.results = tuple(results)


def group_rows(fgraph: FunctionGraph, data: Set[Variable], arranged: ArrangedInputs) -> None:
    """Replace loops over rows that read parameters by an index of data, and add to gradients by it.

    Loops that hand rows to each other are replaced together; inputs in the order of the groups are added to `arranged`.
    """
    for node in fgraph.toposort():
        if isinstance(node.op, Elemwise) and node in fgraph.apply_nodes:
            loops = connected_loops(fgraph, node, data)
            index = chosen_index(loops)
            if index is not None:
                _replace(fgraph, loops, _Regrouping(arranged, fgraph, index))


def _replace(fgraph: FunctionGraph, loops: Mapping[Apply, RowLoop], new: "_Regrouping") -> None:
    pairs = [pair for node in fgraph.toposort() if node in loops for pair in new.loop(loops[node])]
    try:
        fgraph.replace_all_validate(pairs, reason="group rows")
    except InconsistencyError:  # what the rows are taken from is overwritten before such a loop could read it
        return


class _Regrouping:
    """What takes the place of loops over rows, in the order of an index."""

    def __init__(self, arranged: ArrangedInputs, fgraph: FunctionGraph, index: Variable):
        self._arranged, self._fgraph, self._index = arranged, fgraph, index
        self._order = [arranged.get(fgraph, kind, index) for kind in (PIECES, COUNTS, BEGINS)]
        self._made: dict[Variable, Variable] = {}  # rows that a loop made -> in the new order

    def loop(self, loop: RowLoop) -> list[tuple[Variable, Variable]]:
        """Make a loop anew; returns what replaces what is computed of its results."""
        operands, indices = [], []
        positions: dict[Variable, int] = {}
        for operand in loop.operands:
            operands.append(self._operand(operand))
            if operand.by is None or operand.by is self._index:
                indices.append(None if operand.by is None else GROUP)
            else:
                rows = self._rows(operand.by)
                indices.append(positions.setdefault(rows, len(loop.operands) + len(positions)))
        kinds = {client: self._kind(client) for client in loop.clients}
        results = [*(Reduced(number, node.op) for number, node in loop.reductions), *dict.fromkeys(kinds.values())]
        outputs = [node.outputs[0].type() for _, node in loop.reductions]
        outputs += [vector(dtype=loop.node.outputs[r.output].type.dtype) for r in results[len(outputs) :]]
        op = GroupedLoop(loop.node.op.scalar_op, indices, results)
        Apply(op, [*operands, *positions, *self._order], outputs)
        pairs = [(node.outputs[0], new) for (_, node), new in zip(loop.reductions, outputs, strict=False)]
        for client, kind in kinds.items():
            rows = outputs[results.index(kind)]
            if client.is_loop:
                self._made[loop.node.outputs[client.output]] = rows
            else:
                pairs.append((client.node.outputs[0], self._computed(client, rows)))
        return pairs

    def _rows(self, source: Variable) -> Variable:
        return self._arranged.get(self._fgraph, ROWS, self._index, source)

    def _operand(self, operand: RowOperand) -> Variable:
        """What the loop reads in place of an operand."""
        if operand.column is not None:
            return operand.column.of_rows(self._arranged.get(self._fgraph, COLUMNS, self._index, operand.variable))
        if operand.maker is not None:
            return self._made[operand.variable]
        return self._rows(operand.variable) if operand.is_row else operand.variable

    def _kind(self, client: RowClient) -> Stored | Summed:
        return Summed(client.output) if client.by is self._index else Stored(client.output, None)

    def _computed(self, client: RowClient, result: Variable) -> Variable:
        """What is computed of a result of the loop, as a client did."""
        index = self._order[0] if client.by is self._index else self._rows(client.by)
        return client.node.clone_with_new_inputs([client.node.inputs[0], result, index]).outputs[0]
