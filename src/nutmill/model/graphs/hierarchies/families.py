"""Distributions that differ by location and scale alone, by PyTensor's operations."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.continuous import MoyalRV, SkewNormalRV
from pytensor.graph.basic import Variable
from pytensor.tensor.random import basic as random


class Family(NamedTuple):
    """Distributions that differ by location and scale alone."""

    standard: Callable[..., Variable]  # (further parameters) -> the distribution of location 0 and scale 1
    location: int = 0  # which of the parameters of a random variable is the location; the next one is the scale
    of_log: bool = False  # the logarithm of the variable has it

    def parameters(self, rv: Variable) -> tuple[Variable, Variable, list[Variable]]:
        """Location, scale and what else a variable's distribution has."""
        given = list(rv.owner.op.dist_params(rv.owner))
        at = self.location
        return given[at], given[at + 1], given[:at] + given[at + 2 :]

    def log_density(self, xi: Variable, further: Sequence[Variable], where: Variable | None = None) -> Variable:
        """Sum of the log densities of standard deviates; of those where something is true, if it is given."""
        if where is None:
            return pm.logp(self.standard(*further), xi).sum()
        # Of others no derivative is taken, as one that overflows, times 0, is no number.
        each = pm.logp(self.standard(*further), pt.switch(where, xi, 0.0))
        return pt.switch(where, each, 0.0).sum()


# PyTensor makes single precision of plain numbers, and constants that PyMC computes from them follow.
_ZERO, _ONE = np.float64(0.0), np.float64(1.0)

FAMILIES = {
    random.NormalRV: Family(lambda: pm.Normal.dist(_ZERO, _ONE)),
    random.StudentTRV: Family(lambda nu: pm.StudentT.dist(nu=nu, mu=_ZERO, sigma=_ONE), location=1),
    random.LaplaceRV: Family(lambda: pm.Laplace.dist(_ZERO, _ONE)),
    random.LogisticRV: Family(lambda: pm.Logistic.dist(_ZERO, _ONE)),
    random.CauchyRV: Family(lambda: pm.Cauchy.dist(_ZERO, _ONE)),
    random.GumbelRV: Family(lambda: pm.Gumbel.dist(_ZERO, _ONE)),
    SkewNormalRV: Family(lambda alpha: pm.SkewNormal.dist(mu=_ZERO, sigma=_ONE, alpha=alpha)),
    MoyalRV: Family(lambda: pm.Moyal.dist(_ZERO, _ONE)),
    random.LogNormalRV: Family(lambda: pm.Normal.dist(_ZERO, _ONE), of_log=True),
}
