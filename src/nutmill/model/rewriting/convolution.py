"""Convolutions of float64 as an operation that `inline/convolutions.py` writes; made by a rewriter, never by users."""

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import copy_stack_trace, dfs_rewriter, node_rewriter
from pytensor.scalar.basic import ScalarType
from pytensor.tensor.basic import tensor_from_scalar
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.signal.conv import Convolve1d, Convolve2d
from pytensor.tensor.type import tensor

from nutmill.model.graphs.patterns import core_of
from nutmill.model.graphs.properties import is_known


class Convolution(Op):
    """Sums of products along the last axes of two arrays whose other axes broadcast; the third operand says "full".

    No gradient is taken of it any more.
    """

    __props__ = ("n_axes",)

    def __init__(self, n_axes: int):
        self.n_axes = n_axes

    def make_node(self, one, other, full):
        """Apply it to two arrays of as many axes and a truth value."""
        pairs = zip(one.type.broadcastable, other.type.broadcastable, strict=True)
        batch = [1 if all(pair) else None for pair in pairs][: one.type.ndim - self.n_axes]
        return Apply(self, [one, other, full], [tensor(dtype="float64", shape=(*batch, *[None] * self.n_axes))])

    def perform(self, node, inputs, output_storage):
        """It is only ever compiled."""
        raise NotImplementedError


@node_rewriter([Convolve1d, Convolve2d, Blockwise])
def _to_convolution(fgraph, node) -> list[Variable] | None:
    core = core_of(node.op)
    if type(core) not in (Convolve1d, Convolve2d) or not is_known(node.op):
        return None
    one, other, full = node.inputs
    if any(v.type.dtype != "float64" for v in (one, other, *node.outputs)):
        return None
    full = tensor_from_scalar(full) if isinstance(full.type, ScalarType) else full.flatten()[0]
    result = Convolution(core.ndim)(one, other, full)
    copy_stack_trace(node.outputs, result)
    return [result]


convolution_rewriter = dfs_rewriter(_to_convolution)
