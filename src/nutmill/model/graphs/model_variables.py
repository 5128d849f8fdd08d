"""The random variables of a PyMC model as hierarchies are looked for: as tensors, also where dimensions have names."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import LogOddsTransform, LogTransform, SimplexTransform
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace

from nutmill.model.graphs.named_dims import has_named_dims, without_named_dims

# Those of `pymc.dims` are classes of their own, with the names of what they do the same as.
_TRANSFORMS = {kind.__name__: kind for kind in (LogTransform, LogOddsTransform, SimplexTransform)}


class ModelVariables(NamedTuple):
    """What of a model hierarchies are looked for in, by PyMC's names."""

    free_RVs: Sequence[Variable]
    basic_RVs: Sequence[Variable]
    potentials: Sequence[Variable]
    deterministics: Sequence[Variable]
    rvs_to_transforms: Mapping[Variable, Any]
    # The model's own variable for each random one that stands for it here; empty where no dimensions have names.
    originals: Mapping[Variable, Variable]

    def in_model(self, expressions: Sequence[Variable]) -> list[Variable]:
        """Write expressions of the variables here in terms of the model's own."""
        if not self.originals:
            return list(expressions)
        own = {v: pt.as_tensor(mine, allow_xtensor_conversion=True) for v, mine in self.originals.items()}
        return graph_replace(list(expressions), own, strict=False)


def variables_of(model: pm.Model) -> ModelVariables:
    """Read the variables of a model; those with named dimensions become tensors, whose axes keep their order."""
    kinds = (model.free_RVs, model.basic_RVs, model.potentials, model.deterministics)
    own = list(dict.fromkeys(variable for kind in kinds for variable in kind))
    if not any(map(has_named_dims, own)):
        return ModelVariables(*kinds, model.rvs_to_transforms, {})
    tensor_of = dict(zip(own, without_named_dims(own), strict=True))
    transforms = {tensor_of[rv]: _without_names(transform) for rv, transform in model.rvs_to_transforms.items()}
    originals = {tensor_of[rv]: rv for rv in model.basic_RVs}
    free, basic, potentials, deterministics = ([tensor_of[v] for v in kind] for kind in kinds)
    return ModelVariables(free, basic, potentials, deterministics, transforms, originals)


def _without_names(transform: Any) -> Any:
    """Give the transform of tensors that does the same, where signs and hierarchies are told by it."""
    kind = _TRANSFORMS.get(type(transform).__name__)
    return transform if kind is None else kind()
