"""A log density in the stable, smaller form of which gradients are taken.

What chooses between two branches has a gradient that is nothing times the branch not taken: NaN where that overflows.
PyTensor brings the choice and the branch together, but not through a sum, and not out of the mask of a `clip`.
"""

from collections.abc import Sequence

import numpy as np
from pytensor.graph.basic import Variable, equal_computations
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import copy_stack_trace, dfs_rewriter, graph_rewriter, node_rewriter
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.scalar.basic import Exp, Expm1, IsInf, Log, Log1p, Sqr, Sqrt
from pytensor.scalar.math import Sigmoid
from pytensor.scan.op import Scan
from pytensor.tensor.basic import constant, switch
from pytensor.tensor.math import abs as absolute
from pytensor.tensor.math import clip, ge, gt, lt, sqr, sqrt

from nutmill.model.compat import WRONG_REWRITES, thawed
from nutmill.model.graphs.patterns import is_elementwise
from nutmill.model.rewriting.logits import without_probabilities
from nutmill.model.rewriting.normal_terms import take_terms
from nutmill.model.rewriting.point_distances import DistancesByColumns
from nutmill.model.rewriting.translations import before_gradients

# What stable forms are made of.
_UNSTABLE = (Exp, Expm1, Log, Log1p, Sigmoid)


def simplify(output: Variable, *, ours: bool = True, parameters: Sequence[Variable] = ()) -> Variable:
    """Canonicalise and stabilise a log density, so that gradients are taken of the stable, smaller form.

    Without `ours`, normal densities and distances stay as PyTensor has them, and so do distances of what is made of
    `parameters`.
    """
    fgraph = FunctionGraph(outputs=[output], clone=False)
    _simplify(fgraph)
    if ours:
        DistancesByColumns(parameters).rewrite(fgraph)
        take_terms.rewrite(fgraph)
    return fgraph.outputs[0]


def _simplify(fgraph: FunctionGraph) -> None:
    before_gradients().rewrite(fgraph)
    rewrite_graph(fgraph, include=("canonicalize", "stabilize"), exclude=WRONG_REWRITES)
    without_probabilities(fgraph)
    dfs_rewriter(_power_of_infinity, _clip_as_choice).rewrite(fgraph)
    _simplify_steps(fgraph)


@node_rewriter([switch])
def _power_of_infinity(fgraph, node) -> Sequence[Variable] | None:
    """PyTensor 2 asks for `exp` of an infinite maximum in the logarithm of a sum of exponentials; it has two values."""
    condition, yes, no = node.inputs
    if not is_elementwise(condition.owner, IsInf) or not is_elementwise(yes.owner, Exp):
        return None
    (number,), (power_of,) = condition.owner.inputs, yes.owner.inputs
    if not equal_computations([number], [power_of]):
        return None
    infinite, zero = (constant(np.array(value, yes.type.dtype)) for value in (np.inf, 0.0))
    result = switch(condition, switch(gt(number, 0), infinite, zero), no)
    copy_stack_trace(node.outputs[0], result)
    return [result]


@node_rewriter([clip])
def _clip_as_choice(fgraph, node) -> Sequence[Variable] | None:
    x, lowest, highest = node.inputs
    result = switch(lt(x, lowest), lowest, switch(gt(x, highest), highest, x))
    if result.type != node.outputs[0].type:
        return None
    copy_stack_trace(node.outputs[0], result)
    return [result]


def _simplify_steps(fgraph: FunctionGraph) -> None:
    """Simplify what loops repeat, which PyTensor leaves as it is until gradients are taken."""
    for node in fgraph.toposort():
        if not isinstance(node.op, Scan):
            continue
        op, step = node.op, thawed(node.op.fgraph)
        if any(is_elementwise(inner, _UNSTABLE) for inner in step.toposort()):
            _simplify(step)
            options = {name: getattr(op, name) for name in ("mode", "profile", "truncate_gradient", "name", "allow_gc")}
            results = Scan(step.inputs, step.outputs, op.info, **options)(*node.inputs, return_list=True)
            fgraph.replace_all(list(zip(node.outputs, results, strict=True)), reason="simplify steps")


@graph_rewriter
def right_roots(fgraph: FunctionGraph) -> None:
    """Simplify squares of roots and roots of squares, which PyTensor 2 mixes up."""
    dfs_rewriter(_root_of_square, _square_of_root).rewrite(fgraph)


@node_rewriter([sqrt])
def _root_of_square(fgraph, node) -> Sequence[Variable] | None:
    return _without(node, Sqr, absolute)


@node_rewriter([sqr])
def _square_of_root(fgraph, node) -> Sequence[Variable] | None:
    return _without(node, Sqrt, lambda x: switch(ge(x, 0), x, np.array(np.nan, x.type.dtype)))


def _without(node, kind: type, function) -> Sequence[Variable] | None:
    """Write a function of one operation's operand, if that operation is of a kind and keeps the dtype."""
    (middle,) = node.inputs
    if not is_elementwise(middle.owner, kind) or middle.owner.inputs[0].type.dtype != node.outputs[0].type.dtype:
        return None
    result = function(middle.owner.inputs[0])
    copy_stack_trace(node.outputs[0], result)
    return [result]
