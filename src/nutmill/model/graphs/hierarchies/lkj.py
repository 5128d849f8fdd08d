"""What LKJ priors have to do with scales: rows of their Cholesky factors are as long as standard deviations."""

import math

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.transforms import CholeskyCovPacked
from pytensor.graph.basic import Variable

from nutmill.model.graphs.hierarchies.positive import is_lkj_factor
from nutmill.model.graphs.model_variables import ModelVariables
from nutmill.model.graphs.patterns import transposed_of


def row_lengths(matrix: Variable, is_right: bool, model: ModelVariables) -> Variable | None:
    """Lengths (k,) of the rows of the Cholesky factor of an LKJ prior; None if the matrix is none.

    `matrix` is the factor, or its transpose where it stands on the right of what it multiplies (`is_right`).
    """
    factor = transposed_of(matrix) if is_right else matrix
    if factor is None or factor.type.ndim != 2 or not is_lkj_factor(factor, model):
        return None
    # The exponential says that it is positive.
    return pt.exp(0.5 * pt.log(pt.sum(pt.sqr(factor), axis=1)))


def packed_scale(rv: Variable, model: ModelVariables) -> Variable | None:
    """Scale of each element of a packed factor: that on the diagonal of its row; 1 of those on the diagonal.

    What is left of a row is then free of its standard deviation, which may come near 0. None if the variable is no
    packed factor of known size.
    """
    length = rv.type.shape[0] if rv.type.ndim == 1 else None
    if not isinstance(model.rvs_to_transforms.get(rv), CholeskyCovPacked) or length is None or length < 3:
        return None
    rows, columns = np.tril_indices((math.isqrt(8 * length + 1) - 1) // 2)
    on_diagonal = np.flatnonzero(rows == columns)
    return pt.switch(rows == columns, 1.0, rv[on_diagonal[rows]])
