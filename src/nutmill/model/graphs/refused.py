"""What of a PyMC model NUTS cannot sample, and a sentence for each."""

from collections.abc import Mapping, Sequence

import pymc as pm
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import ancestors, apply_ancestors
from pytensor.tensor.basic import Nonzero
from pytensor.tensor.extra_ops import Unique
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.subtensor import AdvancedSubtensor
from pytensor.tensor.type import TensorType

from nutmill.errors import ModelError

RESERVED_NAMES = {"chain", "draw"}
_MISSING = "_unobserved"  # how PyMC calls the missing values of a variable


def check_model(model: pm.Model) -> None:
    """Refuse a model without free variables, with discrete ones, random numbers, ArviZ's names; raises ModelError."""
    if not model.free_RVs:
        raise ModelError("The model has no free variables, so there is nothing to sample: did you observe them all?")
    discrete = [rv.name for rv in model.free_RVs if rv.dtype not in ("float64", "float32")]
    if discrete:
        missing = any(name.endswith(_MISSING) for name in discrete)
        raise ModelError(
            f"NUTS cannot sample discrete variables: {', '.join(discrete)}. Marginalise them out "
            "(pm.Mixture, pymc_extras.marginalize) or use pm.sample, which mixes step methods."
            f"{' Counts that are missing can be left out of what is observed.' if missing else ''}"
        )
    _check_random(model)
    clashes = sorted(RESERVED_NAMES & set(model.named_vars))
    if clashes:
        raise ModelError(f"A variable may not be called {' or '.join(clashes)}: ArviZ has a dimension of this name.")


def _check_random(model: pm.Model) -> None:
    """Refuse what draws random numbers by itself: another density at each evaluation is none that NUTS can follow."""
    computed = [*model.potentials, *model.deterministics]
    if _draw(computed, model.basic_RVs):
        # That which others are computed of comes before them.
        name = next(v.name for n, v in enumerate(computed) if _draw(computed[: n + 1], model.basic_RVs))
        raise ModelError(
            f"{name} draws random numbers at each evaluation, by a distribution that is no variable of the model, as "
            "pm.Normal.dist() is none. Make it a variable: give it a name, without .dist."
        )
    batches = [rv.name for rv in model.observed_RVs if _draw([model.rvs_to_values[rv]], ())]
    if batches:
        raise ModelError(
            f"The observations of {', '.join(batches)} are drawn anew at each evaluation, as by pm.Minibatch, and NUTS "
            "needs all of them every time: observe the whole data, and leave out total_size."
        )


def _draw(variables: Sequence[Variable], known: Sequence[Variable]) -> bool:
    """Whether something that variables are computed of draws; known ones do not count."""
    return any(isinstance(v.type, RandomType) for v in ancestors(variables, blockers=known))


def check_shapes(expanded: Mapping[str, Variable], parameters: Sequence[Variable]) -> None:
    """Refuse variables whose length is a matter of values, such as `x[x > 0]`; raises ModelError."""
    for name, output in expanded.items():
        for node in apply_ancestors([output]):
            if _selects(node) and any(v in parameters for v in ancestors(node.inputs)):
                raise ModelError(
                    f"The shape of {name} changes with the parameters, and every draw needs the same: "
                    "leave it out by var_names=, or make it a fixed shape (pt.switch)."
                )


def _selects(node: Apply) -> bool:
    by_mask = isinstance(node.op, AdvancedSubtensor) and any(_is_mask(v) for v in node.inputs[1:])
    return by_mask or isinstance(node.op, Nonzero | Unique)


def _is_mask(index: Variable) -> bool:
    return isinstance(index.type, TensorType) and index.type.dtype == "bool"
