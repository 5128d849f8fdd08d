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
from pytensor.graph.traversal import ancestors, toposort
from pytensor.scalar.basic import Add, Cast, Identity, Mul
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.shape import SpecifyShape
from pytensor.tensor.subtensor import Subtensor

from nutmill.model.compat import TAKING
from nutmill.model.graphs.model_variables import ModelVariables
from nutmill.model.graphs.patterns import is_elementwise
from nutmill.nuts.site_basis import LEAST_TURN, MOST_TURNED


class Intercept(NamedTuple):
    """A number that effects are added to, in terms of the model's random variables."""

    variable: Variable
    means: Mapping[Variable, Variable]  # the mean of each effect, by the vector that it is of

    @property
    def location(self) -> Variable:
        """Minus the sum of the means."""
        return -sum(self.means.values())


def find_intercepts(
    model: ModelVariables, clients: Mapping[Variable, Sequence[Apply]], effects: Mapping[Variable, Collection[Variable]]
) -> list[Intercept]:
    """Find the numbers on the real line that effects are added to.

    Parameters
    ----------
    clients
        Operations that read each variable (`ScaledUses.clients`).
    effects
        Vectors around zero: those that are effects themselves, or become some by a scale; and what each is made of.
    """
    found: list[Intercept] = []
    taken: set[Variable] = set()
    for rv in model.free_RVs:
        if rv.type.ndim or model.rvs_to_transforms.get(rv) is not None or rv.type.dtype.startswith(("int", "bool")):
            continue
        means: dict[Variable, Variable] = {}
        summands = _added_to(rv, clients)
        found_in = _means(summands, effects)
        for summand in summands:
            means |= found_in.get(summand, {})
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


def _added_to(rv: Variable, clients: Mapping[Variable, Sequence[Apply]]) -> list[Variable]:
    """All that a model adds to a variable, and to such sums."""
    found: dict[Variable, None] = {}
    waiting, seen = [rv], set()
    while waiting:
        one = waiting.pop()
        for node in clients.get(one, ()):
            if node in seen or not (_is_same(node) or is_elementwise(node, Add)):
                continue
            seen.add(node)
            found |= dict.fromkeys(operand for operand in node.inputs if operand is not one)
            waiting += node.outputs
    return list(found)


def _means(summands: Sequence[Variable], effects: Collection[Variable]) -> dict[Variable, Mapping[Variable, Variable]]:
    """For each expression in summands: mean of each vector whose elements, times numbers, it adds up, by vector.

    Each expression is looked at once: recursions that are written out step by step are deep, and share what they add.
    """
    found: dict[Variable, Mapping[Variable, Variable]] = {vector: {vector: pt.mean(vector)} for vector in effects}
    for node in toposort(list(summands)):
        if node.outputs[0] not in found:
            found[node.outputs[0]] = _means_after(node, found)
    return found


def _means_after(node: Apply, known: Mapping[Variable, Mapping[Variable, Variable]]) -> Mapping[Variable, Variable]:
    """Means of the vectors in what a node gives, by those in what it gets."""
    if _only_places(node):
        return known.get(node.inputs[0], {})
    if is_elementwise(node, Add):
        return {v: mean for part in node.inputs for v, mean in known.get(part, {}).items()}
    if is_elementwise(node, Mul):
        parts = [(_unplaced(part), known.get(part, {})) for part in node.inputs]
        found = [means for _, means in parts if means]
        # As Bambi writes an intercept of groups, times ones; whether it helps, draws will tell (`centredness`).
        numbers = [part for part, means in parts if not means and not _is_of_integers(part)]
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
    while expression.owner is not None and _only_places(expression.owner):
        expression = expression.owner.inputs[0]
    return expression


def _only_places(node: Apply) -> bool:
    return _is_same(node) or isinstance(node.op, (Subtensor, *TAKING))


def _is_same(node: Apply) -> bool:
    """Whether a node gives what it gets, at most along other axes."""
    return isinstance(node.op, (DimShuffle, ViewOp, SpecifyShape)) or is_elementwise(node, (Identity, Cast))
