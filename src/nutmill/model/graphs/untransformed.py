"""Variables on a part of the real line that chains may leave, because nothing maps all of the line to that part."""

import pymc as pm
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.distributions.transforms import Interval, LogOddsTransform, LogTransform, _default_transform
from pytensor.graph.basic import Variable
from pytensor.scalar.basic import Exp
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.elemwise import Elemwise

# By the function that gives the variable: where it lies, and what PyMC calls the transform.
_IMAGES = {Sigmoid: ("between 0 and 1", "logodds"), Exp: ("above 0", "log")}
_USUAL = (LogTransform, LogOddsTransform, Interval)


def untransformed(model: pm.Model) -> list[str]:
    """Say of each such variable, a sentence each, what to write instead; only what the graph tells for sure."""
    sentences = []
    for rv in model.free_RVs:
        if model.rvs_to_transforms.get(rv) is not None:
            continue
        if (image := _image(rv)) is not None:
            place, transform = image
            sentences.append(
                f"{rv.name} lies {place}, and PyMC has no transform for it, so that chains can leave that part of the "
                f"line, and diverge there: give it transform=pm.distributions.transforms.{transform}."
            )
        elif isinstance(_default_transform(rv.owner.op, rv), _USUAL):
            sentences.append(
                f"{rv.name} is sampled without its transform, so that chains can leave where it lies, and diverge "
                "there: leave out default_transform=None."
            )
    return sentences


def _image(rv: Variable) -> tuple[str, str] | None:
    """Where a variable lies that is drawn as a function of another one, and the transform; None if none is known."""
    if not isinstance(rv.owner.op, SymbolicRandomVariable):
        return None
    drawn = rv.owner.op.inner_outputs[rv.owner.outputs.index(rv)].owner
    return _IMAGES.get(type(drawn.op.scalar_op)) if drawn is not None and isinstance(drawn.op, Elemwise) else None
