"""Reads random walks and autoregressions as sites: their steps have a scale that depends on parameters.

A value of a walk v_t = rho v_(t-1) + a + s e_t, where rho is 1 for a random walk, has the location rho v_(t-1) + a and
the scale s, as any other site (`sites`), but for the location being that of another element. So the
coordinates that are not centred are the steps, and those that are centred the values. An autoregression of order p has
rho_1 v_(t-1) + ... + rho_p v_(t-p) in the place of rho v_(t-1). Its first p values, as the first one of a walk, are
elements without location and scale. Where an author writes the steps, as in `cumsum(s * z)`, z has the location and
scale of the value.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.timeseries import AutoRegressiveRV, RandomWalkRV
from pytensor.graph.basic import Variable
from pytensor.tensor.random.basic import NormalRV

from nutmill.model.graphs.hierarchies.families import FAMILIES, Family
from nutmill.model.graphs.hierarchies.linear_recurrence import LinearRecurrence, before
from nutmill.model.graphs.hierarchies.widths import inverse_width


class Walk(NamedTuple):
    """A walk in terms of the model's random variables; time is the last axis of all."""

    # Of its elements; 0 and 1 of the first ones.
    location: Variable
    scale: Variable
    # The drift a and the factors rho of each element, 0 of the first ones; whether each is later than the first ones;
    # log densities of the first ones; further parameters of a step.
    further: list[Variable]
    step: Family
    order: int

    def log_density(self, xi: Variable, further: Sequence[Variable]) -> Variable:
        """Log density of the first values, and of the standard deviates of steps."""
        is_later, of_first, *of_step = further[1 + self.order :]
        if all(map(_is_constant, of_step)):
            return pt.sum(of_first) + self.step.log_density(xi, of_step, where=is_later)
        return pt.sum(of_first) + self.step.log_density(xi[..., self.order :], of_step)

    def values(
        self, x: Variable, c: Variable, scale: Variable, further: Sequence[Variable]
    ) -> tuple[Variable, Variable]:
        """Values in coordinates, and their standard deviates (`values_of`)."""
        return values_of(x, c, scale, further[: 1 + self.order])


def as_walk(rv: Variable) -> Walk | None:
    """Read a random variable as a walk; None if it is none, or one of several values a time."""
    if isinstance(rv.owner.op, RandomWalkRV):
        return _random_walk(rv)
    return _autoregression(rv) if isinstance(rv.owner.op, AutoRegressiveRV) else None


def _random_walk(rv: Variable) -> Walk | None:
    first, step = rv.owner.inputs[:2]
    family = FAMILIES.get(type(step.owner.op))
    if rv.owner.op.ndim_supp != 1 or family is None or family.of_log:
        return None
    # PyMC draws the first value and all steps with time as the first axis.
    drift, scale, further = family.parameters(step)
    drift, scale, *further = (_time_last(parameter) for parameter in (drift, scale, *further))
    of_first = pm.logp(first, pt.moveaxis(rv[..., 0, None], -1, 0))
    return _walk(rv, scale, (drift, [pt.constant(1.0, dtype="float64")]), [of_first, *further], family)


def _autoregression(rv: Variable) -> Walk | None:
    operation = rv.owner.op
    rhos, scale, first = rv.owner.inputs[:3]
    order, of_constant = operation.ar_order, int(operation.constant_term)
    drift = rhos[..., 0, None] if of_constant else pt.constant(0.0, dtype="float64")
    factors = [rhos[..., of_constant + k, None] for k in range(order)]
    return _walk(rv, scale[..., None], (drift, factors), [pm.logp(first, rv[..., :order])], FAMILIES[NormalRV])


def _walk(
    rv: Variable, scale: Variable, later: tuple[Variable, list[Variable]], further: list[Variable], step: Family
) -> Walk:
    """Make a walk of the scale, drift and factors of all values but the first; of these there is one a factor."""
    drift, factors = later
    order = len(factors)
    drift, *factors = (_with_first(rv, order, 0.0, values) for values in (drift, *factors))
    scale = _with_first(rv, order, 1.0, scale)
    further = [drift, *factors, _is_later(rv, order), *further]
    return Walk(_location(rv, (drift, *factors)), scale, further, step, order)


def _with_first(rv: Variable, order: int, first: float, later: Variable) -> Variable:
    """What belongs to each value of a walk, in the shape of the walk, of what belongs to all but the first."""
    if _is_constant(later):
        return pt.switch(_is_later(rv, order), later, first)
    rest, zero = pt.zeros_like(rv[..., order:]), pt.zeros_like(rv[..., :order])
    return pt.concatenate([zero + first, rest + later], axis=-1)


def _is_constant(parameter: Variable) -> bool:
    """Whether a parameter of steps is the same for all of them."""
    return parameter.type.ndim == 0 or parameter.type.broadcastable[-1]


def _is_later(values: Variable, order: int) -> Variable:
    """Whether a value of a walk is not of the first: without joining arrays, whose lengths would be compiled."""
    return before(pt.ones_like(values), order) > 0.0


def _location(values: Variable, drift_and_factors: Sequence[Variable]) -> Variable:
    drift, *factors = drift_and_factors
    return pt.add(drift, *(factor * before(values, k) for k, factor in enumerate(factors, 1)))


def _time_last(parameter: Variable) -> Variable:
    return pt.moveaxis(parameter, 0, -1) if parameter.type.ndim > 1 else parameter


def values_of(
    x: Variable, c: Variable, scale: Variable, drift_and_factors: Sequence[Variable]
) -> tuple[Variable, Variable]:
    """Values of a walk in its coordinates, and their standard deviates: each is located by those before it.

    With v = mu + s xi and mu = a + rho_1 v_(t-1) + ..., v is (1 - c s / r) mu + (s / r) x.
    """
    drift, *factors = drift_and_factors
    inverse = inverse_width(c, scale)
    share = scale * inverse
    left = 1.0 - c * share
    values = LinearRecurrence(shaped=True)(*(left * factor for factor in factors), left * drift + share * x, x)
    return values, (x - c * _location(values, drift_and_factors)) * inverse


def before_along(axis: int, values: Variable) -> Variable:
    """Values a step of an axis before; 0 before the first."""
    return pt.moveaxis(before(pt.moveaxis(values, axis, -1)), -1, axis)


def steps_of(axis: int, x: Variable, c: Variable, scale: Variable) -> Variable:
    """Steps of unit scale whose sums along an axis, each times its scale, are the values of a walk in coordinates x."""
    scale = pt.shape_padleft(scale, x.type.ndim - scale.type.ndim)
    x, c, scale = (pt.moveaxis(each, axis, -1) for each in (x, c, scale))
    zero, one = (pt.constant(number, dtype="float64") for number in (0.0, 1.0))
    _, steps = values_of(x, c, scale, (zero, one))
    return pt.moveaxis(steps, -1, axis)
