"""Puts graphs within a graph in the place of the operations that hold them."""

from collections.abc import Iterable

from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import graph_replace
from pytensor.tensor.rewriting.ofg import inline_ofg_node


def expand_graphs(fgraph: FunctionGraph, keep: tuple[type, ...] = ()) -> None:
    """Expand operations that hold graphs, and what these hold in turn, but not those of the kinds to keep."""
    while nodes := _holding_graphs(fgraph.toposort(), keep):
        for node in nodes:
            replacements = list(zip(node.outputs, _expanded(node), strict=True))
            fgraph.replace_all(replacements, reason="expand", import_missing=True)


def _holding_graphs(nodes: Iterable[Apply], keep: tuple[type, ...]) -> list[Apply]:
    return [node for node in nodes if isinstance(node.op, OpFromGraph) and not isinstance(node.op, keep)]


def _expanded(node: Apply) -> list[Variable]:
    """Write the graph within an operation in terms of its inputs.

    PyTensor copies what the inputs are computed from, and rewrites may part the copies: so it sees others.
    """
    others = [variable.type() for variable in node.inputs]
    expanded = inline_ofg_node(node.clone_with_new_inputs(others))
    return graph_replace(expanded, dict(zip(others, node.inputs, strict=True)), strict=False)
