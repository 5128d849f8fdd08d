"""Reads random walks and autoregressions of first order as sites: their steps have a scale that depends on parameters.

A walk v_t = rho v_(t-1) + a + s e_t from v_0, where rho is 1 for a random walk, is v = location + s xi: the location
is where it would go without noise, and xi the same walk from 0 with steps of scale 1. So it is a site as any other
(`model.graphs.sites`), whose standard deviates depend on each other; v_0 is an element without location and scale.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.timeseries import AutoRegressiveRV, RandomWalkRV
from pytensor.graph.basic import Variable
from pytensor.tensor.random.basic import NormalRV

from nutmill.model.graphs.families import FAMILIES, Family


class Walk(NamedTuple):
    """A walk in terms of the model's random variables; time is the last axis of all.

    Attributes
    ----------
    location, scale : Variable
        Of its elements; 0 and 1 of the first.
    further : list of Variable
        Log density of the first value, the factor rho, and further parameters of a step.
    step : Family
    """

    location: Variable
    scale: Variable
    further: list[Variable]
    step: Family

    def log_density(self, xi: Variable, further: Sequence[Variable]) -> Variable:
        """Log density of the first value, and of the steps of standard deviates."""
        of_first, rho, *of_step = further
        before = pt.concatenate([pt.zeros_like(xi[..., :1]), xi[..., 1:-1]], axis=-1)
        return pt.sum(of_first) + self.step.log_density(xi[..., 1:] - rho * before, of_step)


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
    begin = rv[..., 0, None]
    locations = begin + drift * pt.arange(1, rv.shape[-1], dtype="float64")
    of_first = pm.logp(first, pt.moveaxis(begin, -1, 0))
    return _walk(rv, (locations, scale), [of_first, pt.constant(1.0, dtype="float64"), *further], family)


def _autoregression(rv: Variable) -> Walk | None:
    operation = rv.owner.op
    rhos, scale, first = rv.owner.inputs[:3]
    if operation.ar_order != 1 or first.owner.op.ndim_supp != 0:
        return None
    begin, rho, scale = rv[..., 0, None], rhos[..., -1, None], scale[..., None]
    times = pt.arange(1, rv.shape[-1], dtype="float64")
    locations = begin * rho**times
    if operation.constant_term:
        locations += rhos[..., 0, None] * pt.cumsum(rho ** (times - 1.0), axis=-1)
    return _walk(rv, (locations, scale), [pm.logp(first, begin), rho], FAMILIES[NormalRV])


def _walk(rv: Variable, later: tuple[Variable, Variable], further: list[Variable], step: Family) -> Walk:
    """Make a walk of the locations and scales of all values but the first."""
    begin, rest = rv[..., 0, None], pt.zeros_like(rv[..., 1:])
    location = pt.concatenate([pt.zeros_like(begin), rest + later[0]], axis=-1)
    scale = pt.concatenate([pt.ones_like(begin), rest + later[1]], axis=-1)
    return Walk(location, scale, further, step)


def _time_last(parameter: Variable) -> Variable:
    return pt.moveaxis(parameter, 0, -1) if parameter.type.ndim > 1 else parameter
