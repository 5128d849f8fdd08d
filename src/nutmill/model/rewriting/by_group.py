"""Lets loops over rows of data go group by group, where an index of data says to which group each row belongs.

What a row reads of its group is then read once for all rows of the group, and what rows add to their groups is added up
in registers. The data lie in the order of the groups, in which `native.grouping` puts them when they are bound.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.scalar.basic import Mul
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.type import matrix, vector

from nutmill.model.compat import CHANGING, advanced_indices, taken_rows
from nutmill.model.lowering.properties import is_known
from nutmill.model.rewriting.blas.ops import LeanMatrixVector
from nutmill.model.rewriting.fusion import CompiledOp, Reduced, Stored, is_full_reduction, is_numeric
from nutmill.native.grouping import BEGINS, COUNTS, PIECES, ROWS

GROUP = -1  # in the place of an index: one value for each group


class Summed(NamedTuple):
    """A result of the loop that is added up over the rows of each piece of a group."""

    output: int


class GroupedLoop(CompiledOp):
    """An elementwise operation on rows in the order of their groups.

    Inputs are the operands, the indices of rows that are meant by some of them, and of the order of rows the index of
    each piece, how many rows it has, and where slices begin.

    Parameters
    ----------
    scalar_op : ScalarOp
    indices : tuple
        For each operand of `scalar_op` the position of the index of its rows among the inputs, `GROUP` if it is read by
        the index of pieces, or None if it has a value for each row, or one for all.
    results : tuple of Stored, Reduced or Summed
    """

    __props__ = ("indices", "results", "scalar_op")

    def __init__(self, scalar_op, indices: Sequence[int | None], results: Sequence[Stored | Reduced | Summed]):
        self.scalar_op = scalar_op
        self.indices = tuple(indices)
        self.results = tuple(results)


class ArrangedInput(NamedTuple):
    """What an input stands for: an array of the order of rows that an index gives, of a kind of `native.grouping`."""

    kind: str
    by: Variable
    source: Variable


class GroupRows(GraphRewriter):
    """Replaces loops over rows that read parameters by an index of data, and add to gradients by it.

    PyTensor runs a mode's rewrites on inner graphs too; this one is for `target` alone. It runs after those that work
    in place, before `fuse_loops`.

    Parameters
    ----------
    target : FunctionGraph
    n_parameters : int
        Inputs after so many are data.

    Attributes
    ----------
    arranged : dict
        Inputs that this added -> what they stand for.
    """

    def __init__(self, target: FunctionGraph, n_parameters: int):
        self._target, self._n_parameters = target, n_parameters
        self.arranged: dict[Variable, ArrangedInput] = {}

    def apply(self, fgraph: FunctionGraph) -> None:
        """Replace loops that hand rows to each other, one set of them after the other."""
        if fgraph is not self._target:
            return
        data = set(fgraph.inputs[self._n_parameters :])
        for node in fgraph.toposort():
            if isinstance(node.op, Elemwise) and node in fgraph.apply_nodes:
                loops = _connected(fgraph, node, data)
                index = _chosen_index(loops)
                if index is not None:
                    self._replace(fgraph, loops, index)

    def originals(self, given: Mapping[Variable, Variable]) -> dict[Variable, ArrangedInput]:
        """Give what was added in terms of what inputs of the graph were `given` as."""
        return {
            variable: ArrangedInput(made.kind, given.get(made.by, made.by), given.get(made.source, made.source))
            for variable, made in self.arranged.items()
        }

    def _replace(self, fgraph: FunctionGraph, loops: "Mapping[Apply, _RowLoop]", index: Variable) -> None:
        new, pairs = _Regrouping(self, fgraph, index), []
        for node in fgraph.toposort():
            if node in loops:
                pairs += new.loop(loops[node])
        fgraph.replace_all_validate(pairs, reason="group rows")

    def input(self, fgraph: FunctionGraph, kind: str, index: Variable, source: Variable | None = None) -> Variable:
        """Find, or add, the input that stands for an array."""
        wanted = ArrangedInput(kind, index, index if source is None else source)
        for variable, there in self.arranged.items():
            if there == wanted:
                return variable
        dtype = wanted.source.type.dtype if kind in (PIECES, ROWS) else "int64"
        shape = (None, *wanted.source.type.shape[1:]) if kind == ROWS else (None,)
        variable = vector(dtype=dtype) if len(shape) == 1 else matrix(dtype=dtype, shape=shape)
        fgraph.add_input(variable)
        self.arranged[variable] = wanted
        return variable


class _RowOperand(NamedTuple):
    """What a loop reads: an array, by an index of data if it has one, or the product of a matrix of data with one."""

    variable: Variable
    by: Variable | None = None
    matrix: Variable | None = None
    maker: Apply | None = None  # the loop that makes it row by row
    is_row: bool = False


class _RowClient(NamedTuple):
    """What becomes of a result of the loop, other than a reduction: added by an index, or multiplied by a matrix."""

    node: Apply
    output: int
    by: Variable | None = None
    matrix: Variable | None = None
    is_loop: bool = False


class _RowLoop(NamedTuple):
    """A loop over rows of data, all of which may come in another order."""

    node: Apply
    operands: list[_RowOperand]
    reductions: list[tuple[int, Apply]]
    clients: list[_RowClient]


def _connected(fgraph: FunctionGraph, node: Apply, data: Set[Variable]) -> dict[Apply, _RowLoop]:
    """Find the loops that hand rows to a loop, or take them from it; none if one of them needs its own order."""
    found: dict[Apply, _RowLoop] = {}
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


def _chosen_index(loops: Mapping[Apply, _RowLoop]) -> Variable | None:
    """Choose the index that most of the loops goes by, an addition counting twice; None if there is none to add by."""
    votes, added = Counter[Variable](), Counter[Variable]()
    for loop in loops.values():
        votes.update(operand.by for operand in loop.operands if operand.by is not None)
        added.update(client.by for client in loop.clients if client.by is not None)
    chosen = max(added, key=lambda index: votes[index] + 2 * added[index], default=None)
    return chosen if votes[chosen] else None


def _loop(fgraph: FunctionGraph, node: Apply, data: Set[Variable]) -> _RowLoop | None:
    if not is_numeric(node) or not is_known(node.op) or any(v.type.ndim != 1 for v in node.outputs):
        return None
    operands = [_operand(variable, data) for variable in node.inputs]
    loop = _RowLoop(node, [operand for operand in operands if operand is not None], [], [])
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


def _operand(variable: Variable, data: Set[Variable]) -> _RowOperand | None:
    if variable.type.broadcastable[0]:
        return _RowOperand(variable)
    if variable in data:
        return _RowOperand(variable, is_row=True)
    node = variable.owner
    rows = taken_rows(node)
    if rows is not None and is_known(node.op) and len(rows[1]) == 1 and rows[0].type.ndim == 1:
        return _RowOperand(rows[0], by=rows[1][0]) if rows[1][0] in data else None
    if node is not None and isinstance(node.op, LeanMatrixVector):
        table, factor = node.inputs
        return _RowOperand(factor, matrix=table, is_row=True) if table in data else None
    return _RowOperand(variable, maker=node) if node is not None and isinstance(node.op, Elemwise) else None


def _client(client: object, output: int, variable: Variable, data: Set[Variable]) -> _RowClient | None:
    if not isinstance(client, Apply) or not client.outputs or not is_known(client.op):
        return None
    if isinstance(client.op, Elemwise):
        return _RowClient(client, output, is_loop=True)
    if isinstance(client.op, CHANGING) and _adds_by_rows(client, variable):
        index = (advanced_indices(client, 2) or [None])[0]
        return _RowClient(client, output, by=index) if index in data else None
    if isinstance(client.op, LeanMatrixVector) and client.inputs[1] is variable:
        turned = client.inputs[0].owner
        if turned is not None and isinstance(turned.op, DimShuffle) and list(turned.op.new_order) == [1, 0]:
            return _RowClient(client, output, matrix=turned.inputs[0]) if turned.inputs[0] in data else None
    return None


def _adds_by_rows(node: Apply, variable: Variable) -> bool:
    indices = advanced_indices(node, 2)
    is_plain = indices is not None and len(indices) == 1 and indices[0] is not None and indices[0].type.ndim == 1
    is_sum = not node.op.set_instead_of_inc and not getattr(node.op, "ignore_duplicates", False)
    is_float = np.dtype(node.inputs[0].type.dtype).kind == "f"
    return is_plain and is_sum and is_float and node.inputs[0].type.ndim == 1 and node.inputs[1] is variable


class _Regrouping:
    """What takes the place of loops over rows, in the order of an index."""

    def __init__(self, rewriter: GroupRows, fgraph: FunctionGraph, index: Variable):
        self._rewriter, self._fgraph, self._index = rewriter, fgraph, index
        self._order = [rewriter.input(fgraph, kind, index) for kind in (PIECES, COUNTS, BEGINS)]
        self._made: dict[Variable, Variable] = {}  # rows that a loop made -> in the new order

    def loop(self, loop: _RowLoop) -> list[tuple[Variable, Variable]]:
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
        return self._rewriter.input(self._fgraph, ROWS, self._index, source)

    def _operand(self, operand: _RowOperand) -> Variable:
        """What the loop reads in place of an operand."""
        if operand.matrix is not None:
            return LeanMatrixVector()(self._rows(operand.matrix), operand.variable)
        if operand.maker is not None:
            return self._made[operand.variable]
        return self._rows(operand.variable) if operand.is_row else operand.variable

    def _kind(self, client: _RowClient) -> Stored | Summed:
        return Summed(client.output) if client.by is self._index else Stored(client.output, None)

    def _computed(self, client: _RowClient, result: Variable) -> Variable:
        """What is computed of a result of the loop, as a client did."""
        if client.matrix is not None:
            return LeanMatrixVector()(self._rows(client.matrix).dimshuffle(1, 0), result)
        index = self._order[0] if client.by is self._index else self._rows(client.by)
        return client.node.clone_with_new_inputs([client.node.inputs[0], result, index]).outputs[0]
