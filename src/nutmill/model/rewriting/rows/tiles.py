"""Finds what a gradient computes along the rows of data: it is then done a tile of rows at a time.

The product of a regression's matrix with coefficients, what the likelihood makes of each row, and the product of the
transposed matrix with that: done for some hundred rows at once, the matrix is read from memory once, not twice.
"""

from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.utils import InconsistencyError
from pytensor.tensor.elemwise import CAReduce, Elemwise
from pytensor.tensor.math import Sum
from pytensor.tensor.type import tensor

from nutmill.model.rewriting.blas.ops import TileProduct, TileSums
from nutmill.model.rewriting.fusion import CompiledOp, FusedLoop, Reduced, Stored
from nutmill.model.rewriting.rows.row_parts import RowPart, along_rows, row_parts


class Kept(NamedTuple):
    """A result with one value for each row."""


class Total(NamedTuple):
    """A result that is reduced over all rows: a number, or as many as the matrix of this input has columns."""

    reduction: CAReduce
    columns_of: int | None


class RowTiles(CompiledOp):
    """A part of a graph that is computed for one tile of rows after the other.

    Parameters
    ----------
    step : FunctionGraph
        What is computed for a tile. Its inputs are those of the op, and a truth for each of `guesses`.
    sliced : tuple of bool
        For each input of the op whether a tile takes its own rows of it; others are the same for all tiles.
    guesses : tuple of int
        Numbers of results, each whether something holds in all rows, that the step reads as if they were known. They
        are taken to be true; where one turns out to be false, all tiles are computed again.
    """

    __props__ = ("step", "sliced", "results", "guesses")

    def __init__(
        self,
        step: FunctionGraph,
        sliced: Sequence[bool],
        results: Sequence[Kept | Total],
        guesses: Sequence[int],
    ):
        self.step = step
        self.sliced = tuple(sliced)
        self.results = tuple(results)
        self.guesses = tuple(guesses)


def tile_rows(fgraph: FunctionGraph, data: Set[Variable]) -> None:
    """Replace each part of a graph of fused loops that would read a matrix of data twice.

    Parts that PyTensor does not let us replace stay.
    """
    for part in row_parts(fgraph, data):
        node, replaced = _StepBuilder(fgraph, part).build()
        try:
            fgraph.replace_all_validate(list(zip(replaced, node.outputs, strict=True)), reason="tile_rows")
        except InconsistencyError:
            continue


class _StepBuilder:
    """Copies the operations of a part into the graph of a step."""

    def __init__(self, fgraph: FunctionGraph, part: RowPart):
        self._fgraph, self._part = fgraph, part
        self._inputs: dict[tuple[Variable, bool], Variable] = {}  # of the op, and whether it is sliced
        self._copies: dict[Variable, Variable] = {}
        self._guesses: dict[Variable, Variable] = {}

    def build(self) -> tuple[Apply, list[Variable]]:
        """Make the node, and say what its results replace."""
        for node in self._part.nodes:
            self._copy(node)
        results = {v: each for node in self._part.nodes for v, each in self._results(node) if self._is_needed(v)}
        inputs = [*self._inputs.values(), *self._guesses.values()]
        step = FunctionGraph(inputs, [self._copies[v] for v in results], clone=False)
        replaced = list(results)
        guesses = [replaced.index(v) for v in self._guesses]
        given = [variable for variable, _ in self._inputs]
        op = RowTiles(step, [sliced for _, sliced in self._inputs], list(results.values()), guesses)
        return Apply(op, given, [v.type() for v in replaced]), replaced

    def _is_needed(self, variable: Variable) -> bool:
        clients = [client for client, _ in self._fgraph.clients[variable]]
        return variable in self._guesses or any(client not in self._part.nodes for client in clients)

    def _copy(self, node: Apply) -> None:
        part = self._part
        if node in part.products or node in part.sums:
            op, matrix = (
                (TileProduct(), part.products[node]) if node in part.products else (TileSums(), part.sums[node])
            )
            copy = op.make_node(self._input(matrix, sliced=True), self._operand(node.inputs[1], sliced=False))
        else:
            operands = [self._operand(v, sliced=is_along) for v, is_along in along_rows(node)]
            copy = Apply(_not_in_place(node.op), operands, [_of_tile(v) for v in node.outputs])
        self._copies.update(zip(node.outputs, copy.outputs, strict=True))

    def _operand(self, variable: Variable, *, sliced: bool) -> Variable:
        if variable in self._part.guesses:  # what its own tile says is another matter
            return self._guesses.setdefault(variable, variable.type())
        if variable in self._copies:
            return self._copies[variable]
        if variable in self._part.derived:
            node = variable.owner
            operands = [self._operand(v, sliced=False) for v in node.inputs]
            copy = Apply(_not_in_place(node.op), operands, [v.type() for v in node.outputs])
            self._copies.update(zip(node.outputs, copy.outputs, strict=True))
            return self._copies[variable]
        if isinstance(variable, Constant) and not sliced:
            return variable
        return self._input(variable, sliced=sliced)

    def _input(self, variable: Variable, *, sliced: bool) -> Variable:
        inside = _of_tile(variable) if sliced else variable.type()
        return self._inputs.setdefault((variable, sliced), inside)

    def _results(self, node: Apply) -> Iterator[tuple[Variable, Kept | Total]]:
        if node in self._part.sums:
            yield node.outputs[0], Total(Sum(), list(self._inputs).index((self._part.sums[node], True)))
        elif isinstance(node.op, CAReduce):
            yield node.outputs[0], Total(node.op, None)
        elif isinstance(node.op, FusedLoop):
            for variable, result in zip(node.outputs, node.op.results, strict=True):
                yield variable, Total(result.reduction, None) if isinstance(result, Reduced) else Kept()
        else:
            yield from ((variable, Kept()) for variable in node.outputs)


def _of_tile(variable: Variable) -> Variable:
    """A variable for one tile: of any number of rows."""
    shape = variable.type.shape
    return tensor(dtype=variable.type.dtype, shape=(None, *shape[1:])) if shape else variable.type()


def _not_in_place(op: Op) -> Op:
    """The same operation, which changes none of its operands: in a tile, these may be rows of what others read."""
    if isinstance(op, FusedLoop):
        kept = [result if isinstance(result, Reduced) else Stored(result.output, None) for result in op.results]
        return FusedLoop(op.scalar_op, op.indices, kept, op.triangle)
    return Elemwise(op.scalar_op) if isinstance(op, Elemwise) else op
