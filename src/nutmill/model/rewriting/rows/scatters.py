"""Adds up rows by an index once, where a gradient needs the sums alone and as terms of something else.

PyTensor adds rows to whatever their sums would be added to, which is one pass over many rows for each such place.
"""

from collections import defaultdict

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import MergeOptimizer, copy_stack_trace, graph_rewriter
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import DimShuffle

from nutmill.model.compat import adds_by_index


@graph_rewriter
def share_sums(fgraph: FunctionGraph) -> None:
    """Let sums of the same rows by the same index be computed once, and be added to what they belong to."""
    if sum(adds_by_index(node) for node in fgraph.apply_nodes) < 2:
        return
    MergeOptimizer().rewrite(fgraph)
    alike: dict[tuple, list[Apply]] = defaultdict(list)
    for node in fgraph.toposort():
        if adds_by_index(node):
            alike[(node.op, *node.inputs[1:])].append(node)
    for nodes in alike.values():
        sums = next((node.outputs[0] for node in nodes if is_zero(node.inputs[0])), None)
        for node in nodes:
            base, old = node.inputs[0], node.outputs[0]
            if sums is not None and not is_zero(base) and base.type == sums.type == old.type:
                new = base + sums
                copy_stack_trace(old, new)
                fgraph.replace(old, new, reason="share sums")


def is_zero(variable: Variable) -> bool:
    """Whether a variable is known to be zero everywhere."""
    while variable.owner is not None and isinstance(variable.owner.op, Alloc | DimShuffle):
        variable = variable.owner.inputs[0]
    return isinstance(variable, Constant) and not np.any(variable.data)
