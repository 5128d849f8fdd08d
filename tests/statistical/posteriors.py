"""Gives the tests the posteriors with known moments: their models, and what their draws must agree with."""

from typing import TYPE_CHECKING, NamedTuple

from benchmarks import models
from benchmarks.models.posteriordb import Reference

if TYPE_CHECKING:
    import pymc as pm

NAMES = tuple(models.POSTERIORDB)


class Posterior(NamedTuple):
    """A model and the reference moments of its scalars, keyed as `mu` and `theta[1]`."""

    model: "pm.Model"
    references: dict[str, Reference]


def posterior(name: str) -> Posterior:
    """Build the posterior called `name`, one of `NAMES`."""
    return Posterior(models.build(name), models.reference(name))
