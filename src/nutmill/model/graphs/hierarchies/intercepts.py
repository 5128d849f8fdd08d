"""Finds intercepts, and the effects that a model adds to them: data tell an intercept and means of effects as a sum.

In a + v[i] + w[j], with effects v and w around zero, data tell of a + mean(v) + mean(w), and of the parts hardly more
than their priors do. Their scales are unknown, so that no linear map makes them independent. The intercept is made a
site of scale 1, located at minus the sum of means: its coordinate that is not centred is that sum. And effects of a
site of few elements choose the centrednesses of their mean and of their contrasts apart (`nuts.turning`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import pytensor.tensor as pt
from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Add, Cast, Identity, Mul
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import SpecifyShape
from pytensor.tensor.subtensor import Subtensor

from nutmill.model.graphs.hierarchies.positive import INDEXING
from nutmill.model.graphs.model_variables import ModelVariables
from nutmill.nuts.site_basis import LEAST_TURN, MOST_TURNED


class Intercept(NamedTuple):
    """A number that effects are added to, in terms of the model's random variables."""

    variable: Variable
    means: Mapping[Variable, Variable]  # the mean of each effect, by the vector that it is of

    @property
    def location(self) -> Variable:
        """Minus the sum of the means."""
        return -sum(self.means.values())


def find_intercepts(model: ModelVariables, effects: Mapping[Variable, Collection[Variable]]) -> list[Intercept]:
    """Find the numbers on the real line that effects are added to.

    Parameters
    ----------
    effects
        Vectors around zero: those that are effects themselves, or become some by a scale; and what each is made of.
    """
    clients = _clients_of(model)
    found: list[Intercept] = []
    taken: set[Variable] = set()
    for rv in model.free_RVs:
        if rv.type.ndim or model.rvs_to_transforms.get(rv) is not None or rv.type.dtype.startswith(("int", "bool")):
            continue
        means: dict[Variable, Variable] = {}
        for summand in _added_to(rv, clients):
            means |= _means(summand, effects)
        # What depends on the intercept cannot locate it.
        means = {v: mean for v, mean in means.items() if v not in taken and rv not in ancestors([mean, *effects[v]])}
        taken |= means.keys()
        if means:
            found.append(Intercept(rv, means))
    return found


def turned(xi: Variable, centredness: Variable, written: float) -> Variable:
    """Turn the standard deviates of a vector into those of its variable, as `nuts.turning` says; volumes stay."""
    n = xi.shape[0]
    root = pt.sqrt(pt.cast(n, "float64"))
    is_turned = pt.any(pt.gt(pt.abs(centredness - written), LEAST_TURN)) & pt.ge(n, 2) & pt.le(n, MOST_TURNED)
    share = pt.switch(is_turned, (xi[0] - pt.sum(xi) / root) / (1.0 - 1.0 / pt.maximum(root, 1.4)), 0.0)
    return xi + share / root - pt.switch(pt.eq(pt.arange(n), 0), share, 0.0)


def _clients_of(model: ModelVariables) -> dict[Variable, list[Apply]]:
    """Operations that read each variable."""
    clients: dict[Variable, list[Apply]] = {}
    for variable in ancestors([*model.basic_RVs, *model.potentials, *model.deterministics]):
        for operand in dict.fromkeys(() if variable.owner is None else variable.owner.inputs):
            clients.setdefault(operand, []).append(variable.owner)
    return clients


def _added_to(rv: Variable, clients: Mapping[Variable, Sequence[Apply]]) -> list[Variable]:
    """All that a model adds to a variable, and to such sums."""
    found: dict[Variable, None] = {}
    waiting, seen = [rv], set()
    while waiting:
        one = waiting.pop()
        for node in clients.get(one, ()):
            if node in seen or not (_is_same(node) or _is_scalar(node, Add)):
                continue
            seen.add(node)
            found |= dict.fromkeys(operand for operand in node.inputs if operand is not one)
            waiting += node.outputs
    return list(found)


def _means(expression: Variable, effects: Collection[Variable]) -> dict[Variable, Variable]:
    """Mean of each vector whose elements, times numbers, are added up in an expression, by vector."""
    plain = _unplaced(expression)
    if plain in effects:
        return {plain: pt.mean(plain)}
    if plain.owner is None:
        return {}
    if _is_scalar(plain.owner, Add):
        return {v: mean for part in plain.owner.inputs for v, mean in _means(part, effects).items()}
    if _is_scalar(plain.owner, Mul):
        parts = [_unplaced(part) for part in plain.owner.inputs]
        found = [means for part in parts if (means := _means(part, effects))]
        others = [part for part in parts if not _means(part, effects)]
        # As Bambi writes an intercept of groups, times ones; whether it helps, draws will tell (`centredness`).
        numbers = [part for part in others if not _is_of_integers(part)]
        if len(found) == 1 and len(found[0]) == 1 and all(part.type.ndim == 0 for part in numbers):
            ((vector, mean),) = found[0].items()
            for number in numbers:
                mean = mean * number
            return {vector: mean}
    return {}


def _is_of_integers(part: Variable) -> bool:
    return isinstance(part, Constant) and part.type.ndim > 0 and part.type.dtype.startswith("int")


def _unplaced(expression: Variable) -> Variable:
    """What an expression gives elements of: behind indices, new axes and copies."""
    while expression.owner is not None and (
        _is_same(expression.owner) or isinstance(expression.owner.op, (Subtensor, *INDEXING))
    ):
        expression = expression.owner.inputs[0]
    return expression


def _is_same(node: Apply) -> bool:
    """Whether a node gives what it gets, at most along other axes."""
    return isinstance(node.op, (DimShuffle, ViewOp, SpecifyShape)) or _is_scalar(node, (Identity, Cast))


def _is_scalar(node: Apply, kind: type | tuple[type, ...]) -> bool:
    return isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, kind)
