"""Normal densities with a computed covariance: before gradients are taken, one operation in place of its factor's.

PyTensor's gradient of a Cholesky factor solves two triangular systems of as many columns as rows and multiplies two
matrices. Of the density alone it is less: with alpha = K^-1 delta, that of delta' K^-1 delta is -alpha alpha', that of
log |K| is K^-1, which LAPACK makes of the factor (Rasmussen and Williams, Gaussian Processes, 2006, 5.9).
"""

from collections.abc import Sequence
from typing import NamedTuple

import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import copy_stack_trace, graph_rewriter, node_rewriter
from pytensor.scalar.basic import GT, Log, Pow, Sqr
from pytensor.tensor.basic import ExtractDiag
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot, Sum
from pytensor.tensor.type import tensor

from nutmill.model.compat import Cholesky, SolveTriangular
from nutmill.model.graphs.patterns import core_of, is_constant, is_elementwise, reduced_axes, transposed_of
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting.blas.ops import LeanCovarianceGradient, LeanSolveTriangular


class NormalTerms(Op):
    """Of a covariance (n, n), of which the lower triangle is read, and differences (m, n): what normal densities need.

    Gives the squared Mahalanobis distances of the rows (m,), and half the logarithm of the determinant; NaN where the
    covariance is not positive definite.
    """

    __props__ = ()

    def make_node(self, covariance: Variable, differences: Variable) -> Apply:
        """Apply it to two matrices of float64."""
        results = [tensor(dtype="float64", shape=differences.type.shape[:1]), tensor(dtype="float64", shape=())]
        return Apply(self, [covariance, differences], results)

    def infer_shape(self, *node_and_shapes):
        """Tell PyTensor the shapes of both results: PyTensor 2 passes one argument more, in front."""
        return [node_and_shapes[-1][1][:1], ()]

    def perform(self, node, inputs, output_storage):
        """Is never called: `expand_terms` takes its place."""
        raise NotImplementedError("this op is made by a rewrite")

    def pullback(self, inputs, outputs, output_gradients):
        """Gradients, by the name that PyTensor 3 has for it; that of the covariance lies in its lower triangle."""
        covariance, differences = inputs
        of_distances, of_half = (
            result.zeros_like() if isinstance(gradient.type, DisconnectedType) else gradient
            for gradient, result in zip(output_gradients, outputs, strict=True)
        )
        factor = pt.linalg.cholesky(covariance, lower=True)
        weights = _solved(factor, _solved(factor, differences, lower=True), lower=False)
        weighted = of_distances[:, None] * weights
        return [LeanCovarianceGradient()(factor, weights, weighted, of_half), 2.0 * weighted]

    L_op = pullback  # PyTensor 2


def _solved(factor: Variable, rows: Variable, *, lower: bool) -> Variable:
    """Solve a triangular system, or the transposed one, for each row.

    By the operation that is compiled: of PyTensor's, one solution after the other becomes another one of both.
    """
    solve, matrix = LeanSolveTriangular(lower, False), factor if lower else factor.mT
    if rows.type.broadcastable[0]:
        return solve(matrix, rows[0])[None]
    return solve(matrix, rows.mT).mT


@node_rewriter([NormalTerms])
def expand_terms(fgraph, node) -> list[Variable]:
    """Write the operation in terms of the factor, which its gradient shares."""
    covariance, differences = node.inputs
    factor = pt.linalg.cholesky(covariance, lower=True)
    distances = (_solved(factor, differences, lower=True) ** 2).sum(axis=-1)
    half = pt.log(pt.diagonal(factor)).sum()
    copy_stack_trace(node.outputs, [distances, half])
    return [distances, half]


class _Sum(NamedTuple):
    """A sum along the last axis, and the other axes that it is taken along."""

    variable: Variable
    others: tuple[int, ...]


class _Uses(NamedTuple):
    """What a density makes of its covariance's factor: distances of the differences, and logarithms summed."""

    differences: Variable
    distances: Sequence[_Sum]
    half: Sequence[_Sum]


@graph_rewriter
def take_terms(fgraph: FunctionGraph) -> None:
    """Replace what is made of a factor that serves a normal density alone; factors of factors are dropped first."""
    for node in fgraph.toposort():
        covariance = _factorised(node)
        if covariance is not None and (factor := _root_of_product(covariance)) is not None:
            fgraph.replace(node.outputs[0], _with_axes(factor, node.outputs[0]), reason="factor of a factor")
    for node in fgraph.toposort():
        covariance = _factorised(node)
        uses = None if covariance is None else _uses(fgraph, node.outputs[0])
        if uses is not None:
            _replace(fgraph, covariance, uses)


def _replace(fgraph: FunctionGraph, covariance: Variable, uses: _Uses) -> None:
    rows = uses.differences
    ndim = rows.type.ndim
    flat = rows if ndim == 2 else rows[None] if ndim == 1 else rows.reshape((-1, rows.shape[-1]))
    distances, half = NormalTerms()(covariance, flat)
    whole = distances if ndim == 2 else distances.reshape([rows.shape[axis] for axis in range(ndim - 1)], ndim=ndim - 1)
    for variable, others in uses.distances:
        fgraph.replace(variable, whole.sum(axis=others) if others else whole, reason="normal terms")
    for variable, _ in uses.half:
        fgraph.replace(variable, half.dimshuffle(*["x"] * variable.type.ndim), reason="normal terms")


def _factorised(node: Apply) -> Variable | None:
    """The matrix of float64 of which a node makes the lower Cholesky factor; axes before it are of length 1."""
    op = core_of(node.op)
    if type(op) is not Cholesky or not op.lower or not is_known(node.op):
        return None
    (matrix,) = node.inputs
    extra = matrix.type.ndim - 2
    if matrix.type.dtype != "float64" or not all(matrix.type.broadcastable[:extra]):
        return None
    return matrix.squeeze(tuple(range(extra))) if extra else matrix


def _root_of_product(matrix: Variable) -> Variable | None:
    """The L of ``L @ L.T`` that is a Cholesky factor itself, as in a density of which the factor was given."""
    product = _without_axes(matrix).owner
    if product is None or not isinstance(core_of(product.op), Dot):
        return None
    left, right = product.inputs
    factor = _without_axes(left)
    is_factor = factor.owner is not None and _factorised(factor.owner) is not None
    return factor if is_factor and transposed_of(right) is left else None


def _with_axes(matrix: Variable, like: Variable) -> Variable:
    extra = like.type.ndim - matrix.type.ndim
    if extra >= 0:
        return matrix[(None,) * extra] if extra else matrix
    return matrix.squeeze(tuple(range(-extra)))


def _without_axes(variable: Variable) -> Variable:
    """What has lost or got axes of length 1 before its others."""
    while (node := variable.owner) is not None and isinstance(node.op, DimShuffle) and _is_view(node):
        variable = node.inputs[0]
    return variable


def _is_view(node: Apply) -> bool:
    """Whether a node takes away or puts axes of length 1 before the others, whose order it keeps."""
    order = list(node.op.new_order)
    kept = [axis for axis in order if axis != "x"]
    n = len(kept)
    return "x" not in order[len(order) - n :] and kept == list(range(node.op.input_ndim - n, node.op.input_ndim))


def _clients(fgraph: FunctionGraph, variable: Variable) -> list[tuple[Apply, int]] | None:
    """Who reads a variable, seen through axes of length 1; None if it leaves the graph."""
    found = []
    for client, position in fgraph.clients[variable]:
        if not isinstance(client, Apply) or not client.outputs:
            return None
        if isinstance(client.op, DimShuffle) and _is_view(client):
            further = _clients(fgraph, client.outputs[0])
            if further is None:
                return None
            found += further
        else:
            found.append((client, position))
    return found


def _uses(fgraph: FunctionGraph, factor: Variable) -> _Uses | None:
    """What is made of a factor; None if it is anything but one normal density."""
    differences: list[Variable] = []
    distances: list[_Sum] = []
    half: list[_Sum] = []
    for client, position in _clients(fgraph, factor) or [(None, 0)]:
        if client is not None and isinstance(client.op, ExtractDiag):
            found, kind = _logarithms(fgraph, client), half
        else:
            found, kind = (_squares(fgraph, client) if client is not None and position == 0 else None), distances
            differences += [] if found is None else [client.inputs[1]]
        if found is None:
            return None
        kind += found
    return _Uses(differences[0], distances, half) if len(differences) == 1 and half else None


def _logarithms(fgraph: FunctionGraph, node: Apply) -> list[_Sum] | None:
    """Sums of logarithms of a diagonal, if it is read for nothing else but whether it is above something."""
    op, ndim = node.op, node.inputs[0].type.ndim
    if op.offset != 0 or {op.axis1, op.axis2} != {ndim - 2, ndim - 1} or not is_known(op):
        return None
    clients = _clients(fgraph, node.outputs[0])
    if clients is None or not all(is_elementwise(client, (Log, GT)) for client, _ in clients):
        return None
    found = [_sums(fgraph, client.outputs[0]) for client, _ in clients if is_elementwise(client, Log)]
    if any(sums is None or any(not _are_single(each) for each in sums) for sums in found):
        return None
    return [each for sums in found for each in sums or ()]


def _are_single(found: _Sum) -> bool:
    """Whether a sum is taken along no other axis but such as have length 1."""
    (summed,) = found.variable.owner.inputs
    return all(summed.type.broadcastable[:-1])


def _squares(fgraph: FunctionGraph, node: Apply) -> list[_Sum] | None:
    """Sums of squares of a system's solution, if it is read for nothing else."""
    op = core_of(node.op)
    is_system = type(op) is SolveTriangular and op.lower and not op.unit_diagonal and op.b_ndim == 1
    if not is_system or not is_known(node.op) or node.inputs[1].type.dtype != "float64":
        return None
    found: list[_Sum] = []
    for client, _ in _clients(fgraph, node.outputs[0]) or [(None, 0)]:
        sums = _sums(fgraph, client.outputs[0]) if client is not None and _is_square(client) else None
        if sums is None or client.outputs[0].type.ndim != node.inputs[1].type.ndim:
            return None
        found += sums
    return found


def _is_square(node: Apply) -> bool:
    if is_elementwise(node, Pow):
        return is_constant(node.inputs[1], 2) and node.inputs[1].data.size == 1
    return is_elementwise(node, Sqr)


def _sums(fgraph: FunctionGraph, variable: Variable) -> list[_Sum] | None:
    """Sums of a variable along its last axis at least, if it is read for nothing else."""
    found, last = [], variable.type.ndim - 1
    for client, _ in fgraph.clients[variable]:
        if not isinstance(client, Apply) or not isinstance(client.op, Sum) or not is_known(client.op):
            return None
        axes = reduced_axes(client.op, last + 1)
        if last not in axes:
            return None
        found.append(_Sum(client.outputs[0], tuple(axis for axis in axes if axis != last)))
    return found
