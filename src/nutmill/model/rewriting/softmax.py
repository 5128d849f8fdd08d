"""Writes softmax, its logarithm and its gradient as the loops and reductions that they are, which fuse with others."""

from collections.abc import Callable, Sequence

from pytensor.graph.basic import Variable
from pytensor.graph.rewriting.basic import GraphRewriter, copy_stack_trace, dfs_rewriter, node_rewriter
from pytensor.tensor.math import exp, log
from pytensor.tensor.math import max as largest
from pytensor.tensor.math import sum as total
from pytensor.tensor.special import LogSoftmax, Softmax

from nutmill.model.compat import SoftmaxGrad
from nutmill.model.graphs.properties import is_known


def _softmax(axis: int | None, x: Variable) -> Variable:
    powers = exp(x - largest(x, axis=axis, keepdims=True))
    return powers / total(powers, axis=axis, keepdims=True)


def _log_softmax(axis: int | None, x: Variable) -> Variable:
    below = x - largest(x, axis=axis, keepdims=True)
    return below - log(total(exp(below), axis=axis, keepdims=True))


def _softmax_gradient(axis: int | None, gradient: Variable, softmax: Variable) -> Variable:
    weighted = gradient * softmax
    return weighted - softmax * total(weighted, axis=axis, keepdims=True)


# The gradient first: where it is no op of its own, it is another name of the softmax.
_EXPANSIONS: dict[type, Callable[..., Variable]] = {SoftmaxGrad: _softmax_gradient}
_EXPANSIONS |= {Softmax: _softmax, LogSoftmax: _log_softmax}


def softmax_rewriter() -> GraphRewriter:
    """Rewriter for float64, to run after `specialize`, which knows these ops, and before elementwise fusion (48)."""
    return dfs_rewriter(_expand)


@node_rewriter(list(_EXPANSIONS))
def _expand(fgraph, node) -> Sequence[Variable] | None:
    if node.outputs[0].type.dtype != "float64" or not is_known(node.op):
        return None
    result = _EXPANSIONS[type(node.op)](node.op.axis, *node.inputs)
    copy_stack_trace(node.outputs[0], result)
    return [result]
