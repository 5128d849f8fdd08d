"""Named dimensions (`pymc.dims`) become axes: graphs of PyTensor's xtensors as graphs of tensors."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType

# PyTensor 2 warns when it is imported; where nobody has done so there are no such variables.
_MODULE = "pytensor.xtensor"
_PLAIN = "nutmill_plain"


def plain(variable: Variable) -> Variable:
    """Give the tensor that stands for an input, a constant or shared variable with named dimensions; others as is.

    It is the same each time, and that of a shared variable shares its value.
    """
    if not has_named_dims(variable):
        return variable
    if not hasattr(variable.tag, _PLAIN):
        setattr(variable.tag, _PLAIN, _tensor_like(variable))
    return getattr(variable.tag, _PLAIN)


def named_like(variable: Variable, tensor: Variable) -> Variable:
    """Name the dimensions of a tensor as those of a variable, if it has names."""
    if not has_named_dims(variable) or has_named_dims(tensor):
        return tensor
    from pytensor.xtensor import as_xtensor

    return as_xtensor(tensor, dims=variable.type.dims)


class _NamedTransform(NamedTuple):
    """A transform that takes values without names: PyMC takes those off the starts that it is given."""

    variable: Variable
    transform: Any

    def forward(self, value: Variable, *inputs: Variable) -> Variable:
        value = named_like(self.variable, value)
        return value if self.transform is None else self.transform.forward(value, *inputs)

    def backward(self, value: Variable, *inputs: Variable) -> Variable:
        value = named_like(self.variable, value)
        return value if self.transform is None else self.transform.backward(value, *inputs)


def transform_of(variable: Variable, transform: Any) -> Any:
    """Give the transform of a variable, of PyMC or None, in a form that names dimensions where the variable does."""
    return _NamedTransform(variable, transform) if has_named_dims(variable) else transform


def without_named_dims(outputs: Sequence[Variable]) -> list[Variable]:
    """Write graphs with tensors alone: what they begin with is as `plain` gives it.

    `outputs` are tensors or xtensors, whose axes keep their order.
    """
    if _MODULE not in sys.modules:
        return list(outputs)
    named = [variable for variable in ancestors(outputs) if has_named_dims(variable)]
    if not named:
        return list(outputs)
    from pytensor.xtensor import as_xtensor

    roots = {v: as_xtensor(plain(v), dims=v.type.dims, name=v.name) for v in named if v.owner is None}
    tensors = [pt.as_tensor(output, allow_xtensor_conversion=True) for output in outputs]
    return list(rewrite_graph(clone_replace(tensors, roots), include=("lower_xtensor",), clone=False))


def has_named_dims(variable: Variable) -> bool:
    """Whether the dimensions of a variable have names."""
    return type(variable.type).__name__ == "XTensorType"


def _tensor_like(variable: Variable) -> Variable:
    type_ = TensorType(variable.type.dtype, variable.type.shape)
    if isinstance(variable, SharedVariable):
        return TensorSharedVariable(type_, None, strict=None, container=variable.container, name=variable.name)
    if isinstance(variable, Constant):
        return pt.constant(variable.data, name=variable.name, dtype=type_.dtype)
    return type_(name=variable.name)
