"""Finds loops over square matrices that are needed in one triangle alone: of a covariance, and of its gradient.

A Cholesky factor is made of one triangle, and the gradient of a normal density has zeros in the other, so that what a
covariance function computes above the diagonal is read by nobody, and half of its exponentials need not be taken.
"""

from collections.abc import Iterable, Mapping, Sequence

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import graph_rewriter
from pytensor.graph.utils import InconsistencyError
from pytensor.scalar.basic import Add, Cast, Composite, Identity, Mul, Neg, ScalarOp, Sub, Switch, TrueDiv
from pytensor.tensor.elemwise import Elemwise

from nutmill.model.graphs.patterns import is_constant
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting.blas.ops import LeanCholesky, LeanCovarianceGradient
from nutmill.model.rewriting.fusion import FusedLoop, Stored, is_numeric

_SUMS = (Add, Sub, Neg, Cast, Identity)


@graph_rewriter
def loop_over_triangles(fgraph: FunctionGraph) -> None:
    """Let loops go no further than the diagonal where that is all that is needed; runs after loops are fused."""
    if not any(isinstance(node.op, LeanCholesky) for node in fgraph.apply_nodes):
        return
    order = fgraph.toposort()
    loops = {node: _as_fused(node) for node in order if _is_square(node)}
    while (unfit := _unfit(fgraph, order, loops)) is not None:
        del loops[unfit]
    for node, op in loops.items():
        own = FusedLoop(op.scalar_op, op.indices, op.results, triangle=True)
        fused = Apply(own, node.inputs, [v.type() for v in node.outputs])
        try:
            pairs = list(zip(node.outputs, fused.outputs, strict=True))
            fgraph.replace_all_validate(pairs, reason="loop_over_triangles")
        except InconsistencyError:
            continue


def _is_square(node: Apply) -> bool:
    """Whether a loop may go over a square matrix: all lengths are open, or the same."""
    if not isinstance(node.op, Elemwise | FusedLoop) or not is_numeric(node) or not is_known(node.op):
        return False
    op = _as_fused(node)
    operands = node.inputs[: len(op.indices)]
    if any(index is not None for index in op.indices) or any(v.type.ndim != 2 for v in operands):
        return False
    return not any(all(v.type.broadcastable[axis] for v in operands) for axis in (0, 1))


def _as_fused(node: Apply) -> FusedLoop:
    if isinstance(node.op, FusedLoop):
        return node.op
    kept = [Stored(number, node.op.inplace_pattern.get(number)) for number in range(len(node.outputs))]
    return FusedLoop(node.op.scalar_op, [None] * len(node.inputs), kept)


def _unfit(fgraph: FunctionGraph, order: Iterable[Apply], loops: Mapping[Apply, FusedLoop]) -> Apply | None:
    """A loop, if there is one, of which more than the triangle is needed while the others keep to it."""
    zero: set[Variable] = set()
    for node in order:
        if isinstance(node.op, LeanCovarianceGradient):
            zero.update(node.outputs)
        op = loops.get(node)
        if op is None:
            continue
        operands = node.inputs[: len(op.indices)]
        vanishing = _vanishing(op.scalar_op, [v in zero for v in operands])
        for result, variable in zip(op.results, node.outputs, strict=True):
            if isinstance(result, Stored):
                zero.update([variable] if result.output in vanishing else [])
                if not _is_read_below(fgraph, variable, loops):
                    return node
            elif not (isinstance(result.reduction.scalar_op, Add) and result.output in vanishing):
                return node
    return None


def _is_read_below(fgraph: FunctionGraph, variable: Variable, loops: Mapping[Apply, FusedLoop]) -> bool:
    """Whether all who read a matrix read its lower triangle alone."""
    for client, position in fgraph.clients[variable]:
        is_factor = isinstance(client, Apply) and isinstance(client.op, LeanCholesky) and client.op.lower
        if not is_factor and not (client in loops and position < len(loops[client].indices)):
            return False
    return bool(fgraph.clients[variable])


def _vanishing(op: ScalarOp, zero: Sequence[bool]) -> set[int]:
    """Numbers of the results of a scalar operation that are zero where these operands are."""
    if not isinstance(op, Composite):
        return {0} if _vanishes(op, zero) else set()
    graph = op.fgraph
    known = dict(zip(graph.inputs, zero, strict=True))
    for node in graph.toposort():
        given = [known.get(v, False) or is_constant(v, 0) for v in node.inputs]
        if isinstance(node.op, Composite):
            found = _vanishing(node.op, given)
        else:
            found = {0} if _vanishes(node.op, given) else set()
        known.update({v: number in found for number, v in enumerate(node.outputs)})
    return {number for number, v in enumerate(graph.outputs) if known.get(v, False)}


def _vanishes(op: ScalarOp, zero: Sequence[bool]) -> bool:
    """Whether a result is zero where these operands are, whatever the others may be."""
    if isinstance(op, Mul):
        return any(zero)
    if isinstance(op, TrueDiv):
        return zero[0]
    if isinstance(op, Switch):
        return all(zero[1:])
    return isinstance(op, _SUMS) and all(zero)
