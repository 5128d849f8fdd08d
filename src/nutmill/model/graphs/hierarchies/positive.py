"""Which expressions of a PyMC model are positive whatever its parameters are: told from operations, not from values."""

import numpy as np
from pymc.distributions.transforms import CholeskyCovPacked, LogExpM1
from pymc.logprob.transforms import IntervalTransform, LogOddsTransform, LogTransform, SimplexTransform
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Constant, Variable
from pytensor.scalar import basic as scalar
from pytensor.scalar.math import Gamma, Sigmoid, Softplus
from pytensor.tensor.basic import Alloc, Join, MakeVector
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot, Prod, Sum
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.subtensor import Subtensor

from nutmill.model.compat import CHANGING, TAKING, join_axis
from nutmill.model.graphs.model_variables import ModelVariables
from nutmill.model.graphs.patterns import core_of

_ALWAYS = (scalar.Exp, scalar.Exp2, scalar.Cosh, Sigmoid, Softplus)
# Of their first input alone.
_KEEP_SIGN = (
    *(scalar.Identity, scalar.Cast, scalar.Sqr, scalar.Sqrt, scalar.Abs, scalar.Sign, scalar.Reciprocal),
    *(scalar.Log1p, scalar.Expm1, scalar.Pow, Gamma),
)
_OF_ALL = (scalar.Mul, scalar.Add, scalar.TrueDiv, scalar.Maximum, scalar.Minimum, scalar.Second)
_MOVING = (ViewOp, DimShuffle, Reshape, SpecifyShape, Alloc, Subtensor, *TAKING)
_POSITIVE_TRANSFORMS = (LogTransform, LogExpM1, LogOddsTransform, SimplexTransform)


def is_positive(variable: Variable, model: ModelVariables) -> bool:
    """Whether an expression of the model's random variables cannot be anything but positive."""
    if isinstance(variable, Constant):
        return _is_number(variable) and bool(np.all(np.asarray(variable.data) > 0))
    if variable in model.rvs_to_transforms:
        return _is_positive_variable(variable, model)
    node = variable.owner
    if node is None:
        return False
    if isinstance(node.op, Elemwise):
        return _is_positive_elementwise(node, model)
    if isinstance(node.op, (*_MOVING, Sum, Prod)):
        return is_positive(node.inputs[0], model)
    if isinstance(node.op, Join | MakeVector):
        parts = node.inputs[join_axis(node)[1] if isinstance(node.op, Join) else 0 :]
        return all(is_positive(part, model) for part in parts)
    return False


def _is_positive_elementwise(node, model: ModelVariables) -> bool:
    operation = node.op.scalar_op
    if isinstance(operation, _ALWAYS):
        return True
    if isinstance(operation, _KEEP_SIGN):
        return is_positive(node.inputs[0], model)
    if isinstance(operation, scalar.Switch | scalar.Clip):
        return all(is_positive(v, model) for v in node.inputs[1:])  # of either choice, of both bounds
    if isinstance(operation, scalar.Add) and any(is_positive(v, model) for v in node.inputs):
        return all(_is_not_negative(v, model) for v in node.inputs)
    if isinstance(operation, scalar.Sub) and isinstance(node.inputs[0], Constant):
        return _is_number(node.inputs[0]) and _is_below(node.inputs[1], float(np.min(node.inputs[0].data)), model)
    return isinstance(operation, _OF_ALL) and all(is_positive(v, model) for v in node.inputs)


def _is_below(variable: Variable, bound: float, model: ModelVariables) -> bool:
    """Whether a random variable of the model is below a number by its transform: as a share of variance is below 1."""
    while variable.owner is not None and isinstance(variable.owner.op, (ViewOp, DimShuffle)):
        variable = variable.owner.inputs[0]
    transform = model.rvs_to_transforms.get(variable)
    if isinstance(transform, IntervalTransform):
        upper = transform.args_fn(*variable.owner.inputs)[1]
        return isinstance(upper, Constant) and _is_number(upper) and bool(np.all(np.asarray(upper.data) <= bound))
    return isinstance(transform, (LogOddsTransform, SimplexTransform)) and bound >= 1.0


def _is_not_negative(variable: Variable, model: ModelVariables) -> bool:
    """Whether an expression is a square, made of such by sums and products, or positive."""
    if isinstance(variable, Constant):
        return _is_number(variable) and bool(np.all(np.asarray(variable.data) >= 0))
    node = variable.owner
    if node is not None and isinstance(node.op, Elemwise):
        if isinstance(node.op.scalar_op, (scalar.Sqr, scalar.Abs)):
            return True
        if isinstance(node.op.scalar_op, (scalar.Mul, scalar.Add)):
            return all(_is_not_negative(v, model) for v in node.inputs)
    if node is not None and isinstance(core_of(node.op), Dot):
        return all(_is_not_negative(v, model) for v in node.inputs)
    if node is not None and isinstance(node.op, (*_MOVING, Sum)):
        return _is_not_negative(node.inputs[0], model)
    return is_positive(variable, model)


def _is_positive_variable(variable: Variable, model: ModelVariables) -> bool:
    """By its transform, which keeps what the sampler moves apart from what cannot be."""
    transform = model.rvs_to_transforms[variable]
    if isinstance(transform, IntervalTransform):
        lower = transform.args_fn(*variable.owner.inputs)[0]
        return isinstance(lower, Constant) and _is_number(lower) and bool(np.all(np.asarray(lower.data) >= 0))
    return isinstance(transform, _POSITIVE_TRANSFORMS)


def _is_number(constant: Constant) -> bool:
    return (
        isinstance(constant.data, np.ndarray | np.generic | int | float)
        and np.asarray(constant.data).dtype.kind in "fiu"
    )


def is_lkj_factor(variable: Variable, model: ModelVariables) -> bool:
    """Whether a matrix is the lower Cholesky factor that an LKJ prior is of."""
    node = variable.owner
    is_set = node is not None and isinstance(node.op, CHANGING) and node.op.set_instead_of_inc
    return is_set and isinstance(model.rvs_to_transforms.get(node.inputs[1]), CholeskyCovPacked)
