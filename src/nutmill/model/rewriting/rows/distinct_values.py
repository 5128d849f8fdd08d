"""Computes what depends on counts and on single numbers once for each distinct count: log-gamma of y + alpha.

Of thousands of counts few are distinct, and a density needs the logarithm of the gamma function and its derivative at
each of them plus a parameter. Sums over all rows are sums over distinct counts, each as often as it is there; where a
row needs its own, that is taken from a table, which `native.grouping` makes places for when data are bound.
"""

from collections.abc import Iterator, Set

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import copy_stack_trace
from pytensor.scalar.basic import Add, Mul
from pytensor.tensor.basic import cast
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.type import TensorType

from nutmill.model.graphs.patterns import is_elementwise
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting.branchfree_rewrites import (
    BranchFreeDigamma,
    BranchFreeLogGamma,
    BranchFreePolygamma,
    BranchFreeTrigamma,
)
from nutmill.model.rewriting.fusion import is_full_reduction
from nutmill.model.rewriting.rows.arranged_inputs import ArrangedInputs
from nutmill.model.rewriting.rows.column_moves import column_of
from nutmill.native.grouping import DISTINCT, PLACES, TIMES

# Worth a table: each takes several times as long as reading one.
_DEAR = (BranchFreeLogGamma, BranchFreeDigamma, BranchFreeTrigamma, BranchFreePolygamma)


def compute_distinct(fgraph: FunctionGraph, data: Set[Variable], arranged: ArrangedInputs) -> None:
    """Compute vectors of one array of data and of single numbers by its distinct values, if they are dear.

    Replaces reductions of such vectors, and what others read of them; distinct values and places are added to
    `arranged`.
    """
    found = _Expressions(fgraph, data)
    tables = _Tables(arranged, fgraph, found)
    pairs = [pair for variable in found.dear for pair in tables.replacing(variable)]
    for old, new in pairs:
        copy_stack_trace(old, new)
    fgraph.replace_all(pairs, reason="compute distinct")


class _Expressions:
    """Vectors that are computed element by element of one array of data and of single numbers.

    Attributes
    ----------
    leaf : dict
        Vector -> the vector of data that it is computed of, which may be a column of a matrix.
    dear : list
        Those in which a dear function is computed.
    is_all : bool
        Whether these are all dear functions of rows.
    """

    def __init__(self, fgraph: FunctionGraph, data: Set[Variable]):
        self.leaf: dict[Variable, Variable] = {}
        self.dear: list[Variable] = []
        self.is_all = True
        for node in fgraph.toposort():
            self.leaf.update((v, v) for v in node.inputs if _is_count(v) and _source(v)[0] in data)
            leaf = self._of(node)
            if leaf is not None:
                self.leaf.update(dict.fromkeys(node.outputs, leaf))
                if is_elementwise(node, _DEAR) or not set(node.inputs).isdisjoint(self.dear):
                    self.dear += node.outputs
            elif is_elementwise(node, _DEAR) and None in node.outputs[0].type.shape:
                self.is_all = False

    def _of(self, node: Apply) -> Variable | None:
        if not isinstance(node.op, Elemwise) or not is_known(node.op) or node.outputs[0].type.ndim != 1:
            return None
        leaves = {self.leaf.get(v) for v in node.inputs if not v.type.broadcastable[0]}
        return leaves.pop() if len(leaves) == 1 else None


class _Tables:
    """The same vectors, of the distinct values alone."""

    def __init__(self, arranged: ArrangedInputs, fgraph: FunctionGraph, found: _Expressions):
        self._arranged, self._fgraph, self._found = arranged, fgraph, found
        self._made: dict[Variable, Variable] = {}

    def replacing(self, variable: Variable) -> Iterator[tuple[Variable, Variable]]:
        """Give what of a vector, or of its reductions, others read, and what takes its place."""
        leaf = self._found.leaf[variable]
        source, column = _source(leaf)
        clients = [client for client, _ in self._fgraph.clients[variable]]
        reductions = [client for client in clients if column is None and is_full_reduction(client) and _keeps(client)]
        for client in reductions:
            yield client.outputs[0], client.clone_with_new_inputs([self._weighted(client, variable)]).outputs[0]
        # A loop over rows that has such a function left vectorises, and may not do so without the others (LLVM 20, 22).
        if self._found.is_all and any(
            client not in reductions and not self._is_inside(client, leaf) for client in clients
        ):
            places = self._arranged.get(self._fgraph, PLACES, source)
            yield variable, self._table(variable)[places if column is None else places[:, column]]

    def _is_inside(self, client: Apply, leaf: Variable) -> bool:
        return bool(client.outputs) and self._found.leaf.get(client.outputs[0]) is leaf

    def _weighted(self, client: Apply, variable: Variable) -> Variable:
        table = self._table(variable)
        if not isinstance(client.op.scalar_op, Add):
            return table
        source, _ = _source(self._found.leaf[variable])
        return table * cast(self._arranged.get(self._fgraph, TIMES, source), table.type.dtype)

    def _table(self, variable: Variable) -> Variable:
        """A vector at the distinct values; what is no such vector is a number for all of them."""
        if variable not in self._found.leaf:
            return variable
        if variable not in self._made:
            if self._found.leaf[variable] is variable:
                self._made[variable] = self._arranged.get(self._fgraph, DISTINCT, _source(variable)[0])
            else:
                node = variable.owner
                made = node.clone_with_new_inputs([self._table(v) for v in node.inputs])
                self._made.update(zip(node.outputs, made.outputs, strict=True))
        return self._made[variable]


def _is_count(variable: Variable) -> bool:
    """Whether values are integers: few real numbers are alike."""
    return isinstance(variable.type, TensorType) and np.dtype(variable.type.dtype).kind in "iu"


def _keeps(reduction: Apply) -> bool:
    """Whether a reduction of all rows is one of distinct values, if these are weighted for sums."""
    return not isinstance(reduction.op.scalar_op, Mul) and np.dtype(reduction.inputs[0].type.dtype).kind in "fb"


def _source(vector: Variable) -> tuple[Variable | None, int | None]:
    """An array of which this is the whole, or a column, and the number of the column; None if it is something else."""
    if vector.type.ndim != 1 or vector.type.broadcastable[0]:
        return None, None
    if vector.owner is None:
        return vector, None
    column = column_of(vector.owner)
    return (None, None) if column is None else (column.table, column.number)
