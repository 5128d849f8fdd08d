"""Inputs of a graph that stand for arrays which binding makes of data: rows in another order, distinct values."""

from collections.abc import Mapping
from typing import NamedTuple

from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.tensor.type import tensor

from nutmill.native.grouping import BEGINS, COLUMNS, COUNTS, PLACES, ROWS, TIMES, TRANSPOSED


class ArrangedInput(NamedTuple):
    """What an input stands for: an array of a kind of `native.grouping`, by an index, of a source."""

    kind: str
    by: Variable
    source: Variable


class ArrangedInputs:
    """The inputs that rewriters have added to a graph, each once."""

    def __init__(self):
        self._added: dict[Variable, ArrangedInput] = {}

    def get(self, fgraph: FunctionGraph, kind: str, by: Variable, source: Variable | None = None) -> Variable:
        """Find, or add, the input that stands for an array."""
        wanted = ArrangedInput(kind, by, by if source is None else source)
        for variable, there in self._added.items():
            if there == wanted:
                return variable
        dtype = "int64" if kind in (COUNTS, BEGINS, PLACES, TIMES) else wanted.source.type.dtype
        lengths = wanted.source.type.shape
        shapes = {ROWS: (None, *lengths[1:]), COLUMNS: (*lengths[1:], None), TRANSPOSED: lengths[::-1], PLACES: lengths}
        variable = tensor(dtype=dtype, shape=shapes.get(kind, (None,)))
        fgraph.add_input(variable)
        self._added[variable] = wanted
        return variable

    def originals(self, given: Mapping[Variable, Variable]) -> dict[Variable, ArrangedInput]:
        """Give what was added in terms of what inputs of the graph were `given` as."""
        return {
            variable: ArrangedInput(made.kind, given.get(made.by, made.by), given.get(made.source, made.source))
            for variable, made in self._added.items()
        }
