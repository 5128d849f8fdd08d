"""Takes the row or column of ``b[0, group]`` before its elements, so that these are those of a vector."""

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import copy_stack_trace, graph_rewriter
from pytensor.tensor.basic import cast, zeros
from pytensor.tensor.subtensor import inc_subtensor

from nutmill.model.compat import TAKING, adds_by_index, advanced_indices


@graph_rewriter
def take_slices_first(fgraph: FunctionGraph) -> None:
    """Replace elements of a matrix at one known place of an axis and an index of data along the other.

    So that ``b[0, group]`` is ``b[0][group]``; what is added to such elements is added up first, and then to the row.
    """
    for node in fgraph.toposort():
        new = None
        if isinstance(node.op, TAKING):
            new = _taken(node)
        elif adds_by_index(node):
            new = _added(node)
        if new is not None:
            copy_stack_trace(node.outputs[0], new)
            fgraph.replace(node.outputs[0], new, reason="take slices first")


def _taken(node: Apply) -> Variable | None:
    found = _slice_and_index(node)
    return None if found is None else node.inputs[0][found[0]][found[1]]


def _added(node: Apply) -> Variable | None:
    found, dtype = _slice_and_index(node), node.inputs[0].type.dtype
    if found is None or np.dtype(dtype).kind != "f":
        return None
    line = node.inputs[0][found[0]]
    sums = inc_subtensor(zeros((line.shape[0],), dtype=dtype)[found[1]], cast(node.inputs[1], dtype))
    return inc_subtensor(line, sums)


def _slice_and_index(node: Apply) -> tuple[tuple, Variable] | None:
    """The row or column that is meant, and the index of its elements; None if there is more to the indices."""
    indices = advanced_indices(node)
    if indices is None or len(indices) != 2 or node.inputs[0].type.ndim != 2:
        return None
    places = [index for index in indices if isinstance(index, Constant) and index.type.ndim == 0]
    vectors = [index for index in indices if index is not None and index.type.ndim == 1 and index.owner is None]
    if len(places) != 1 or len(vectors) != 1 or isinstance(vectors[0], Constant):
        return None
    place = int(places[0].data)
    return ((place,) if indices[0] is places[0] else (slice(None), place)), vectors[0]
