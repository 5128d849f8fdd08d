"""Densities of logits as users write them, by way of probabilities, without the probabilities.

A Bernoulli variable's density chooses between log(p) and log(1 - p), and checks that p is a probability. Where p is a
sigmoid, that is one softplus, of the logit or its opposite; written so before gradients are taken, an observation
costs one exponential and one logarithm.
"""

from collections.abc import Sequence

from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import copy_stack_trace, dfs_rewriter, node_rewriter
from pytensor.scalar.basic import GE, LE, Mul, UnaryScalarOp
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.basic import constant, switch
from pytensor.tensor.math import All, log1p, softplus

from nutmill.model.graphs.patterns import is_constant, is_elementwise

_BOUNDS = {GE: 0.0, LE: 1.0}  # that no value of a sigmoid passes


def without_probabilities(fgraph: FunctionGraph) -> None:
    """Write a stabilised density in terms of logits."""
    dfs_rewriter(_log_of_failure).rewrite(fgraph)
    dfs_rewriter(_function_of_choice, _within_bounds).rewrite(fgraph)


@node_rewriter([log1p])
def _log_of_failure(fgraph, node) -> Sequence[Variable] | None:
    """log(1 - p): PyTensor's own rule does not know -p as the product with -1 that canonicalising makes of it."""
    (opposite,) = node.inputs
    if not is_elementwise(opposite.owner, Mul) or len(opposite.owner.inputs) != 2:
        return None
    sign, probability = opposite.owner.inputs
    if not is_constant(sign, -1.0) or not is_elementwise(probability.owner, Sigmoid):
        return None
    result = -softplus(probability.owner.inputs[0])
    copy_stack_trace(node.outputs[0], result)
    return [result]


@node_rewriter([switch])
def _function_of_choice(fgraph, node) -> Sequence[Variable] | None:
    """Choose between two values of one function by choosing what it is a function of, if nobody else needs them."""
    condition, yes, no = node.inputs
    functions = []
    while _have_one_function(node.outputs[0], yes, no) and len(fgraph.clients[yes]) == len(fgraph.clients[no]) == 1:
        functions.append(yes.owner.op)
        (yes,), (no,) = yes.owner.inputs, no.owner.inputs
    if not functions:
        return None
    result = switch(condition, yes, no)
    for function in reversed(functions):
        result = function(result)
    copy_stack_trace(node.outputs[0], result)
    return [result]


def _have_one_function(chosen: Variable, yes: Variable, no: Variable) -> bool:
    """Whether both branches are one function, of values that are as many and of one dtype."""
    if yes.owner is None or no.owner is None or yes.owner.op != no.owner.op:
        return False
    if not is_elementwise(yes.owner, UnaryScalarOp):
        return False
    before, other = yes.owner.inputs[0].type, no.owner.inputs[0].type
    return before.dtype == other.dtype and before.broadcastable == other.broadcastable == chosen.type.broadcastable


@node_rewriter([All])
def _within_bounds(fgraph, node) -> Sequence[Variable] | None:
    """Drop the check that a sigmoid is a probability; of a logit that is NaN, the density is NaN."""
    (condition,) = node.inputs
    if node.outputs[0].type.ndim or not is_elementwise(condition.owner, (GE, LE)):
        return None
    probability, bound = condition.owner.inputs
    is_bound = is_constant(bound, _BOUNDS[type(condition.owner.op.scalar_op)])
    return [constant(True, dtype="bool")] if is_bound and is_elementwise(probability.owner, Sigmoid) else None
