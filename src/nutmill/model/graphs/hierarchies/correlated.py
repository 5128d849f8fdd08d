"""Reads Gaussian vectors whose covariance depends on parameters as sites: each element is located by those before.

With the Cholesky factor L of the covariance, f = mu + L z, element i has the location mu_i + sum_j<i L_ij z_j and the
scale L_ii, as that of a walk has the value before it (`walks`). So the coordinates that are not centred
are z, and those that are centred f; for those between, x - c mu = (diag(r) + c strict(L)) z is solved for z.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytensor.tensor as pt
from pytensor.compile.mode import optdb
from pytensor.graph.basic import Variable, equal_computations
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.rewriting.shape import ShapeFeature

from nutmill.model.graphs.hierarchies.positive import is_lkj_factor
from nutmill.model.graphs.hierarchies.widths import inverse_width
from nutmill.model.graphs.model_variables import ModelVariables
from nutmill.model.graphs.patterns import core_of, transposed_of

# The rewrites that PyMC begins and ends with where it takes a log density.
_IN_PYMC = ("+canonicalize", "-local_eager_useless_unbatched_blockwise", "-local_join_dims", "-local_split_dims")


class Correlated(NamedTuple):
    """A Gaussian vector, the last axis of a variable, in terms of the model's random variables."""

    mean: Variable
    factor: Variable  # (n, n), lower triangular with a positive diagonal


def as_correlated(rv: Variable, model: ModelVariables) -> Correlated | None:
    """Read a random variable as Gaussian vectors of one covariance; None if it is none."""
    if not isinstance(rv.owner.op, MvNormalRV):
        return None
    mean, covariance = rv.owner.op.dist_params(rv.owner)
    while covariance.type.ndim > 2 and covariance.type.broadcastable[0]:
        is_expanded = covariance.owner is not None and isinstance(covariance.owner.op, DimShuffle)
        covariance = covariance.owner.inputs[0] if is_expanded else covariance[0]
    if covariance.type.ndim != 2 or _core_name(covariance) == "MatrixInverse":
        return None  # of a precision PyMC takes the Cholesky factor itself, which is cheaper
    return Correlated(mean, _factor_of(covariance, model))


def is_factor(matrix: Variable) -> bool:
    """Whether a matrix is written as the lower Cholesky factor of another."""
    return _core_name(matrix) == "Cholesky" and core_of(matrix.owner.op).lower


def rewritten_as_by_pymc(expressions: Sequence[Variable], values: Mapping[Variable, Variable]) -> list[Variable]:
    """Rewrite expressions of random variables as PyMC rewrites log densities; give them in terms of the values then.

    What both are made of is then the same, down to arrays that are computed of data, as the jitter of a covariance is.
    """
    inputs = {rv: rv.type() for rv in values}
    outputs = clone_replace(list(expressions), inputs)
    fgraph = FunctionGraph(outputs=outputs, copy_inputs=False, features=[ShapeFeature()])
    optdb.query(*_IN_PYMC).rewrite(fgraph)
    return clone_replace(list(fgraph.outputs), {own: values[rv] for rv, own in inputs.items()}, rebuild_strict=False)


def sharing_factors(expressions: Sequence[Variable], densities: Sequence[Variable]) -> list[Variable]:
    """Put the Cholesky factors of log densities in the place of equal ones in expressions.

    Else each would be computed twice: arrays of data are told apart by where they lie, so equal ones stay two.
    """
    known = [variable for variable in ancestors(densities) if is_factor(variable)]
    twins = {
        own: twin
        for own in ancestors(expressions)
        if is_factor(own)
        for twin in known
        if equal_computations([own], [twin])
    }
    return clone_replace(list(expressions), twins)


def deviates_of(x: Variable, c: Variable, factor: Variable) -> Variable:
    """Standard deviates of vectors of mean 0 in coordinates x (..., n) at the centrednesses c, given L (n, n)."""
    inverse = inverse_width(c, pt.diagonal(factor))
    system = (c * inverse)[..., None] * pt.tril(factor, -1) + pt.eye(factor.shape[0])
    return pt.linalg.solve_triangular(system, x * inverse, lower=True, unit_diagonal=True, b_ndim=1)


def times(factor: Variable, deviates: Variable) -> Variable:
    """Multiply vectors (..., n) by a matrix."""
    return pt.dot(factor, deviates) if deviates.type.ndim == 1 else pt.dot(deviates, factor.T)


def _factor_of(covariance: Variable, model: ModelVariables) -> Variable:
    """Cholesky factor of a covariance: that of which it is written as the square, if it is."""
    node = covariance.owner
    if node is not None and len(node.inputs) == 2:
        root = node.inputs[0]
        if transposed_of(node.inputs[1]) is root and (is_factor(root) or is_lkj_factor(root, model)):
            return root
    return pt.linalg.cholesky(covariance)


def _core_name(matrix: Variable) -> str:
    """Name of the operation that makes a matrix; that of each of a batch."""
    node = matrix.owner
    return "" if node is None else type(core_of(node.op)).__name__
