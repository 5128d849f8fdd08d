"""Operations that would run in Python, or compile for seconds, written in terms of others."""

import numpy as np
from pytensor.graph.basic import Variable
from pytensor.graph.rewriting.basic import GraphRewriter, copy_stack_trace, dfs_rewriter, node_rewriter
from pytensor.raise_op import Assert
from pytensor.tensor.basic import as_tensor, cast, constant, switch, zeros
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.extra_ops import RavelMultiIndex, UnravelIndex, searchsorted
from pytensor.tensor.math import all as all_of
from pytensor.tensor.math import and_, clip, ge, invert, isnan, le, lt
from pytensor.tensor.math import any as any_of
from pytensor.tensor.subtensor import set_subtensor
from scipy.interpolate import BSpline, PPoly, UnivariateSpline

from nutmill.model.compat import STEPS_HAVE_MODES, BlockDiagonal, Expm
from nutmill.model.graphs.patterns import core_of
from nutmill.model.graphs.properties import is_known
from nutmill.model.rewriting.blas.ops import LeanCholesky
from nutmill.model.rewriting.matrix_exponential import Exponential
from nutmill.model.rewriting.normal_terms import expand_terms

# What a spline gives beyond its ends: zeros, or the value at the nearer end; else it goes on as a polynomial.
_ZEROS, _ENDS, _ERROR = 1, 3, 2


def before_gradients() -> GraphRewriter:
    """Rewriter of what has a better gradient in other terms, or none in its own."""
    return dfs_rewriter(_diagonal_of_blocks, _spline, _exponential)


def after_gradients() -> GraphRewriter:
    """Rewriter of all, of which gradients have been taken."""
    return dfs_rewriter(_diagonal_of_blocks, _spline, _is_positive_definite, expand_terms, _coordinates, _place)


def _is(node, name: str) -> bool:
    """Whether the operation is this one of PyMC, which need not be installed."""
    kind = type(node.op)
    return kind.__name__ == name and kind.__module__.startswith("pymc.")


@node_rewriter([Expm, Blockwise])
def _exponential(fgraph, node) -> list[Variable] | None:
    """PyTensor 2 takes the gradient of a matrix exponential by complex eigenvectors, which need not exist."""
    core = core_of(node.op)
    (matrix,) = node.inputs[:1]
    if not STEPS_HAVE_MODES or type(core) is not Expm or matrix.type.dtype != "float64":
        return None
    result = Blockwise(Exponential())(matrix)
    copy_stack_trace(node.outputs, result)
    return [result]


@node_rewriter([BlockDiagonal, Blockwise])
def _diagonal_of_blocks(fgraph, node) -> list[Variable] | None:
    """Zeros into which the blocks are written; PyTensor's gradient gathers each of them by indices."""
    core = core_of(node.op)
    if not isinstance(core, BlockDiagonal) or not is_known(node.op):
        return None
    blocks, dtype = node.inputs, node.outputs[0].type.dtype
    if any(block.type.broadcastable[:-2] != blocks[0].type.broadcastable[:-2] for block in blocks):
        return None
    rows, columns = (sum(block.shape[axis] for block in blocks) for axis in (-2, -1))
    batch = [blocks[0].shape[axis] for axis in range(blocks[0].type.ndim - 2)]
    whole, row, column = zeros((*batch, rows, columns), dtype=dtype), 0, 0
    for block in blocks:
        height, width = block.shape[-2], block.shape[-1]
        place = whole[..., row : row + height, column : column + width]
        whole, row, column = set_subtensor(place, cast(block, dtype)), row + height, column + width
    copy_stack_trace(node.outputs, whole)
    return [whole] if whole.type.ndim == node.outputs[0].type.ndim else None


@node_rewriter(None)
def _spline(fgraph, node) -> list[Variable] | None:
    """A spline of SciPy, as in PyMC's `Interpolated`: the polynomial of the interval in which a value lies."""
    if not _is(node, "SplineWrapper") or not isinstance(node.op.spline, UnivariateSpline):
        return None
    (x,), spline = node.inputs, node.op.spline
    beyond = getattr(spline, "ext", 0)
    if x.type.dtype != "float64" or beyond == _ERROR:
        return None
    inner = spline.get_knots()
    coefficients = spline.get_coeffs()
    degree = len(coefficients) - len(inner) + 1
    knots = np.concatenate([[inner[0]] * degree, inner, [inner[-1]] * degree])
    pieces = PPoly.from_spline(BSpline(knots, coefficients, degree)).c[:, degree : len(knots) - degree - 1]
    result = _piecewise(x, inner, pieces, beyond)
    copy_stack_trace(node.outputs, result)
    return [result] if result.type == node.outputs[0].type else None


def _piecewise(x: Variable, knots: np.ndarray, pieces: np.ndarray, beyond: int) -> Variable:
    """Value at `x` of polynomials between knots (m + 1,), their coefficients (degree + 1, m) from the highest."""
    at = clip(x, knots[0], knots[-1]) if beyond == _ENDS else x
    place = clip(searchsorted(as_tensor(knots), at, side="right") - 1, 0, len(knots) - 2)
    step = at - as_tensor(knots)[place]
    result = as_tensor(pieces[0])[place]
    for coefficients in pieces[1:]:
        result = result * step + as_tensor(coefficients)[place]
    if beyond != _ZEROS:
        return result
    return switch(and_(ge(x, knots[0]), le(x, knots[-1])), result, 0.0)


@node_rewriter(None)
def _is_positive_definite(fgraph, node) -> list[Variable] | None:
    """PyMC's check of a correlation matrix: whether it has a Cholesky factor, which is NaN where it has none."""
    if not _is(node, "PosDefMatrix"):
        return None
    factor = LeanCholesky(True)(cast(node.inputs[0], "float64"))
    return [invert(any_of(isnan(factor)))]  # PyTensor would take `factor == factor` for true


@node_rewriter([UnravelIndex])
def _coordinates(fgraph, node) -> list[Variable] | None:
    """Quotients and remainders: PyTensor's Numba form gives one array, and takes places outside."""
    if not is_known(node.op):
        return None
    place, _ = node.inputs
    lengths, steps = _lengths_and_steps(node)
    place = Assert("index is out of bounds for array")(
        place, all_of(and_(ge(place, 0), lt(place, steps[0] * lengths[0])))
    )
    found = [cast(place // step % length, "int64") for length, step in zip(lengths, steps, strict=True)]
    copy_stack_trace(node.outputs, found)
    return found if node.op.order == "C" else found[::-1]


@node_rewriter([RavelMultiIndex])
def _place(fgraph, node) -> list[Variable] | None:
    """A sum of multiples."""
    *coordinates, _ = node.inputs
    if not is_known(node.op) or node.op.mode != "raise":
        return None
    lengths, steps = _lengths_and_steps(node)
    if node.op.order != "C":
        coordinates = coordinates[::-1]
    is_inside = [all_of(and_(ge(c, 0), lt(c, n))) for c, n in zip(coordinates, lengths, strict=True)]
    place = sum(cast(c, "int64") * step for c, step in zip(coordinates, steps, strict=True))
    place = Assert("invalid entry in coordinates array")(place, *is_inside)
    copy_stack_trace(node.outputs, place)
    return [place]


def _lengths_and_steps(node) -> tuple[list[Variable], list[Variable]]:
    """Lengths of the axes that an index goes along, the slowest first, and how far apart their elements lie."""
    n_axes = len(node.outputs) if isinstance(node.op, UnravelIndex) else len(node.inputs) - 1
    lengths = [node.inputs[-1][axis] for axis in range(n_axes)]
    if node.op.order != "C":
        lengths.reverse()
    steps = [constant(1, dtype="int64")]
    for length in lengths[:0:-1]:
        steps.insert(0, steps[0] * length)
    return lengths, steps
