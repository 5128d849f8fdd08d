"""Evaluates a log density in single precision: its arrays are float32, its numbers and sums stay float64.

What is written here knows some operations: those that work element by element, those that move elements, and matrix
products. All others get float64, and what they give is cast. So sums over many observations lose no digits, and a
parameter that is one number goes in as it is; data are cast once, when they are bound. What is compared with other
values than 0 and 1, such as a sum with its tolerance, is computed in double precision a second time.
"""

from collections.abc import Callable, Sequence

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import io_toposort
from pytensor.scalar.basic import Cast, LogicalComparison, Switch
from pytensor.tensor.basic import Alloc, Join, cast, constant
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot, Prod, Sum
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
)
from pytensor.tensor.type import TensorType

from nutmill.model.compat import AdvancedIncSubtensor1, AdvancedSubtensor1
from nutmill.model.graphs.patterns import core_of
from nutmill.model.graphs.properties import is_known

_MOVING = (DimShuffle, Reshape, SpecifyShape, Alloc, Subtensor, AdvancedSubtensor, AdvancedSubtensor1)
_JOINING = (Join, IncSubtensor, AdvancedIncSubtensor, AdvancedIncSubtensor1)
_DOUBLE, _SINGLE = "float64", "float32"


def in_single(output: Variable) -> Variable:
    """Write the graph of a float64 scalar anew, in single precision: a float64 scalar of the same inputs."""
    found: dict[Variable, Variable] = {}
    for node in io_toposort([], [output]):
        inputs = [found.get(v, v) for v in node.inputs]
        found |= zip(node.outputs, _rewritten(node, inputs), strict=True)
    return _as(found.get(output, output), _DOUBLE)


def _rewritten(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    """Give the results of a node for inputs of which some arrays are float32 now."""
    if _compares_closely(node):
        return node.outputs
    if not any(v.type.dtype == _DOUBLE for v in (*node.inputs, *node.outputs) if isinstance(v.type, TensorType)):
        return node.clone_with_new_inputs(list(inputs)).outputs
    for kinds, rewrite in _RULES:
        if isinstance(core_of(node.op), kinds) and is_known(core_of(node.op)):
            return rewrite(node, inputs)
    return _in_double(node, inputs)


def _compares_closely(node: Apply) -> bool:
    if not isinstance(node.op, Elemwise) or not isinstance(node.op.scalar_op, LogicalComparison):
        return False
    return not any(isinstance(v, Constant) and np.isin(v.data, (0, 1)).all() for v in node.inputs)


def _in_double(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    """Give an operation that is not known here what it had before."""
    given = [
        _as(new, old.type.dtype) if isinstance(old.type, TensorType) else new
        for new, old in zip(inputs, node.inputs, strict=True)
    ]
    return node.clone_with_new_inputs(given).outputs


def _elementwise(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    """Single precision for arrays, integers among them; double for numbers."""
    if not isinstance(node.op, Elemwise):  # a stack of them is the same
        return _in_double(node, inputs)
    dtype = _SINGLE if node.outputs[0].type.ndim else _DOUBLE
    is_float = node.outputs[0].type.dtype == _DOUBLE
    if isinstance(node.op.scalar_op, Cast):
        return [_as(inputs[0], dtype)] if is_float else node.op.make_node(*inputs).outputs
    given = []
    for position, (old, new) in enumerate(zip(node.inputs, inputs, strict=True)):
        is_condition = position == 0 and isinstance(node.op.scalar_op, Switch)
        is_number = old.type.dtype == _DOUBLE or (is_float and old.type.dtype != "bool")
        given.append(_as(new, dtype) if is_number and not is_condition else new)
    results = node.op.make_node(*given).outputs
    return [_as(v, dtype) if old.type.dtype == _DOUBLE else v for v, old in zip(results, node.outputs, strict=True)]


def _moved(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    """Keep what the first input is."""
    return node.op.make_node(*inputs).outputs


def _joined(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    """Give all parts one dtype."""
    given = [_as(v, _SINGLE) if old.type.dtype == _DOUBLE else v for v, old in zip(inputs, node.inputs, strict=True)]
    return node.op.make_node(*given).outputs


def _summed(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    """Add up in double precision."""
    return type(node.op)(axis=node.op.axis, dtype=_DOUBLE, acc_dtype=_DOUBLE)(*inputs).owner.outputs


def _multiplied(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    return node.op.make_node(*(_as(v, _SINGLE) for v in inputs)).outputs


_RULES: Sequence[tuple[tuple[type, ...], Callable]] = (
    ((Elemwise,), _elementwise),
    (_MOVING, _moved),
    (_JOINING, _joined),
    ((Sum, Prod), _summed),
    ((Dot, BatchedDot), _multiplied),
)


def _as(variable: Variable, dtype: str) -> Variable:
    """Cast a variable that has another dtype."""
    if variable.type.dtype == dtype:
        return variable
    if isinstance(variable, Constant):
        return constant(variable.data.astype(dtype))
    return cast(variable, dtype)
