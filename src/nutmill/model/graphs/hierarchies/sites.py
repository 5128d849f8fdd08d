"""Finds where a PyMC model has a location and a scale of its own: what a hierarchy consists of, however it is written.

A site is a parameter v of a family of locations and scales whose scale depends on other parameters: v ~ N(mu, s), as
authors write a centred hierarchy. Or it is a z ~ N(0, 1) that the model multiplies by such a scale, as they write a
non-centred one, or by the Cholesky factor of an LKJ prior, whose rows are as long as standard deviations; effects that
sum to zero are such, too. What is found here may be stretched by the kernel (`centring`); a site that is
none costs efficiency, never truth.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.multivariate import ZeroSumNormalRV
from pymc.distributions.transforms import ZeroSumTransform
from pymc.logprob.transforms import LogTransform
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.exceptions import NotScalarConstantError
from pytensor.tensor.random.basic import NormalRV

from nutmill.model.graphs.hierarchies.correlated import Correlated, as_correlated, deviates_of, times
from nutmill.model.graphs.hierarchies.families import FAMILIES, Family
from nutmill.model.graphs.hierarchies.intercepts import find_intercepts
from nutmill.model.graphs.hierarchies.lkj import packed_scale
from nutmill.model.graphs.hierarchies.scaled_uses import ScaledUses
from nutmill.model.graphs.hierarchies.shaped import placement_of
from nutmill.model.graphs.hierarchies.walks import as_walk, before_along, steps_of
from nutmill.model.graphs.model_variables import ModelVariables, variables_of
from nutmill.nuts.site_basis import MOST_TURNED
from nutmill.nuts.state import ALONE, BY_LARGEST, SHIFTED, TOGETHER, TURNING

_ZERO, _ONE = pt.constant(0.0, dtype="float64"), pt.constant(1.0, dtype="float64")


class FoundSite(NamedTuple):
    """A site in terms of a model's random variables, or of their value variables."""

    variable: Variable
    written: float  # 1 where its own prior has location and scale, 0 where the model multiplies it by the scale
    location: Variable
    scale: Variable
    # (standard deviates xi, `further`) -> the sum of their log densities.
    log_density: Callable[[Variable, Sequence[Variable]], Variable]
    further: Sequence[Variable] = ()  # what else that needs
    # Whether that is the variable's own prior, times the scale; if not, the model's log density keeps the prior.
    is_prior: bool = True
    # Where elements are located by others of the site: (coordinates, centredness, scale, `further`) -> variable and xi.
    process: Callable[[Variable, Variable, Variable, Sequence[Variable]], tuple[Variable, Variable]] | None = None
    kind: int = ALONE  # how its elements hang together, as in `GroupState.joint`

    @property
    def expressions(self) -> list[Variable]:
        """What the site is made of."""
        return [self.location, self.scale, *self.further]

    def written_in(self, variable: Variable, expressions: Sequence[Variable]) -> "FoundSite":
        """The same site, its variable and its `expressions` written in terms of others."""
        location, scale, *further = expressions
        return self._replace(variable=variable, location=location, scale=scale, further=further)


def find_sites(model: pm.Model) -> list[FoundSite]:
    """Find the sites of a model, each after those that its location and scale depend on."""
    variables = variables_of(model)
    free = set(variables.free_RVs)
    found = [site for rv in variables.free_RVs if (site := _centred(variables, rv, free))]
    uses, centred = ScaledUses(variables), {site.variable for site in found}
    others = [rv for rv in variables.free_RVs if rv not in centred]
    found += [site for rv in others if (site := _non_centred(variables, rv, uses))]
    return [_in_model(site, variables) for site in _in_order(_with_intercepts(variables, uses, found), free)]


def _with_intercepts(model: ModelVariables, uses: ScaledUses, found: Sequence[FoundSite]) -> list[FoundSite]:
    """Add the intercepts that effects are added to; few effects are turned where data tell how they differ."""
    effects = {site.variable: site.expressions for site in found if _is_effects(site)}
    intercepts = find_intercepts(model, uses.clients, effects) if effects else []
    intercepts = [one for one in intercepts if all(one.variable is not site.variable for site in found)]
    of_intercepts = {vector for one in intercepts for vector in one.means}
    few = [vector for vector in effects if _are_few(vector)]
    # Of those that are compared with each other, as of those of an intercept, data do not tell the mean.
    turned = {vector for vector in few if vector in of_intercepts or uses.are_compared(vector)}
    with_effects = [site._replace(kind=TURNING) if site.variable in turned else site for site in found]
    return with_effects + [
        FoundSite(one.variable, 1.0, one.location, _ONE, _none, [one.location], False, _shifted, SHIFTED)
        for one in intercepts
    ]


def _shifted(x: Variable, c: Variable, _scale: Variable, further: Sequence[Variable]) -> tuple[Variable, Variable]:
    """The process of what has but a location, as a width of 1 would be computed once for each row of data."""
    v = x + (1.0 - c) * further[0]
    return v, v


def _is_effects(site: FoundSite) -> bool:
    """Whether a site is of a vector of independent normals around zero that have one scale."""
    is_vector = site.variable.type.ndim == 1 and isinstance(site.variable.owner.op, NormalRV)
    is_one = is_vector and site.process is None and all(site.scale.type.broadcastable)
    return is_one and _constant(site.location) == 0.0


def _are_few(vector: Variable) -> bool:
    """Whether a vector may have so few elements that it is turned: that may be known with its data only."""
    (length,) = vector.type.shape
    return length is None or 2 <= length <= MOST_TURNED


def _in_model(site: FoundSite, variables: ModelVariables) -> FoundSite:
    """Write a site in terms of the model's own variables."""
    own = variables.originals.get(site.variable, site.variable)
    return site.written_in(own, variables.in_model(site.expressions))


def _family_of(model: ModelVariables, rv: Variable) -> Family | None:
    """Family of a variable whose parameter lies on the real line; None if it has another, or another transform."""
    family = FAMILIES.get(type(rv.owner.op))
    if family is None:
        return None
    transform = model.rvs_to_transforms.get(rv)
    fits = type(transform) is LogTransform if family.of_log else transform is None
    return family if fits else None


def _centred(model: ModelVariables, rv: Variable, free: set[Variable]) -> FoundSite | None:
    if model.rvs_to_transforms.get(rv) is None and (walk := as_walk(rv)) is not None:
        site = FoundSite(
            rv, 1.0, walk.location, walk.scale, walk.log_density, walk.further, process=walk.values, kind=TOGETHER
        )
    elif model.rvs_to_transforms.get(rv) is None and (found := as_correlated(rv, model)) is not None:
        site = _correlated(rv, found)
    elif (scale := packed_scale(rv, model)) is not None:
        return FoundSite(rv, 1.0, pt.zeros_like(scale), scale, _log_volume, [scale], is_prior=False)
    elif isinstance(rv.owner.op, ZeroSumNormalRV) and _has_transform(model, rv, ZeroSumTransform):
        scale = rv.owner.op.dist_params(rv.owner)[0]
        site = FoundSite(rv, 1.0, _ZERO, scale, _log_volume_of_all, [scale], is_prior=False)
    elif (family := _family_of(model, rv)) is not None:
        location, scale, further = family.parameters(rv)
        site = FoundSite(rv, 1.0, location, scale, family.log_density, further)
    elif (place := placement_of(rv, model.rvs_to_transforms.get(rv))) is not None:
        site = FoundSite(rv, 1.0, *place, _log_volume_of_all, [place.scale], is_prior=False)
    else:
        return None
    # The shape of a walk is its own.
    return site if free.intersection(ancestors([site.scale], blockers=[rv])) - {rv} else None


def _log_volume(_xi: Variable, further: Sequence[Variable]) -> Variable:
    """Log volume of a variable as the model is written, of its standard deviates, given its scale."""
    return pt.sum(pt.log(further[0]))


def _log_volume_of_all(xi: Variable, further: Sequence[Variable]) -> Variable:
    return pt.sum(pt.zeros_like(xi) + pt.log(further[0]))


def _none(_xi: Variable, _further: Sequence[Variable]) -> Variable:
    return _ZERO


def _is_standard(model: ModelVariables, rv: Variable) -> bool:
    """Whether the prior is of location 0 and scale 1."""
    family = _family_of(model, rv)
    if family is None or family.of_log:
        return False
    location, scale, _ = family.parameters(rv)
    return _constant(location) == 0.0 and _constant(scale) == 1.0


def _is_around_zero(model: ModelVariables, rv: Variable) -> bool:
    """Whether the prior of a vector or a matrix is normal, of location 0 and a scale that is a number."""
    family = _family_of(model, rv) if isinstance(rv.owner.op, NormalRV) and rv.type.ndim else None
    location, scale, _ = (None, None, []) if family is None else family.parameters(rv)
    return family is not None and _constant(location) == 0.0 and _constant(scale) is not None


def _constant(variable: Variable) -> float | None:
    try:
        return float(pt.get_underlying_scalar_constant_value(variable))
    except NotScalarConstantError:
        return None


def _non_centred(model: ModelVariables, rv: Variable, uses: ScaledUses) -> FoundSite | None:
    """The site of a variable that is multiplied by positive expressions and factors of LKJ priors."""
    is_direct = not (is_standard := _is_standard(model, rv)) and _is_around_zero(model, rv)
    if is_standard or is_direct or _sums_to_zero(model, rv):
        n_whole = rv.owner.op.ndim_supp if isinstance(rv.owner.op, ZeroSumNormalRV) else 0
        if (scaling := uses.scaling_of(rv, n_whole, is_direct)) is not None:
            family = FAMILIES[type(rv.owner.op)] if is_standard else None
            log_density, further = (_none, []) if family is None else (family.log_density, family.parameters(rv)[2])
            written = None if further else scaling.factor
            if written is not None and (factor := _scaled(written[0], rv, scaling.scale)) is not None:
                return _deviates(rv, factor, written[1], log_density)
            if scaling.scale is not None:
                location = _ZERO if scaling.location is None else scaling.location
                site = FoundSite(rv, 0.0, location, scaling.scale, log_density, further, is_prior=is_standard)
                return site if scaling.summed is None else _steps(site, scaling.summed)
    return None


def _steps(site: FoundSite, axis: int) -> FoundSite:
    """The site of the steps of a walk along an axis: each is located by the value before it."""
    location = before_along(axis, pt.cumsum(site.scale * site.variable, axis=axis))
    return site._replace(
        location=location, process=lambda x, c, scale, _further: (steps_of(axis, x, c, scale),) * 2, kind=TOGETHER
    )


def _correlated(rv: Variable, found: Correlated) -> FoundSite:
    """The site of Gaussian vectors with a full covariance."""

    def process(x, c, _scale, further):
        mean, factor = further
        xi = deviates_of(x - c * mean, c, factor)
        return mean + times(factor, xi), xi

    scale = pt.diagonal(found.factor)
    xi = deviates_of(rv - found.mean, pt.ones_like(rv), found.factor)
    kind = BY_LARGEST if rv.type.ndim == 1 else TOGETHER
    return FoundSite(rv, 1.0, rv - scale * xi, scale, _standard, [*found], process=process, kind=kind)


def _standard(xi: Variable, _further: Sequence[Variable]) -> Variable:
    """Log densities of standard normal deviates, whatever else a site is made of."""
    return FAMILIES[NormalRV].log_density(xi, ())


def _scaled(factor: Variable, rv: Variable, scale: Variable | None) -> Variable | None:
    """Draw a scale into the Cholesky factor that a variable is multiplied by; None if it differs between vectors."""
    if scale is None:
        return factor
    if all(scale.type.broadcastable):
        return factor * scale.flatten()[0]
    return factor * scale if rv.type.ndim == 1 else None


def _deviates(rv: Variable, factor: Variable, axis: int, log_density: Callable) -> FoundSite:
    """The site of standard deviates that are multiplied by a Cholesky factor along an axis."""

    def process(x, c, _scale, further):
        xi = deviates_of(pt.moveaxis(x, axis, -1), pt.moveaxis(c, axis, -1), further[0])
        return (pt.moveaxis(xi, -1, axis),) * 2

    def turned(vectors):
        return pt.moveaxis(vectors, -1, axis)

    location = turned(times(pt.tril(factor, -1), pt.moveaxis(rv, axis, -1)))
    scale = turned(pt.zeros_like(pt.moveaxis(rv, axis, -1)) + pt.diagonal(factor))
    return FoundSite(
        rv, 0.0, location, scale, lambda xi, _further: log_density(xi, ()), [factor], process=process, kind=BY_LARGEST
    )


def _sums_to_zero(model: ModelVariables, rv: Variable) -> bool:
    """Whether a variable is one of effects that sum to zero, with a prior that has no free parameters."""
    is_one = isinstance(rv.owner.op, ZeroSumNormalRV) and _has_transform(model, rv, ZeroSumTransform)
    return is_one and not _needs(rv.owner.inputs, set(model.free_RVs))


def _has_transform(model: ModelVariables, rv: Variable, kind: type) -> bool:
    return isinstance(model.rvs_to_transforms.get(rv), kind)


def _needs(expressions: Sequence[Variable], free: set[Variable]) -> set[Variable]:
    """Free variables behind expressions."""
    return free.intersection(ancestors(expressions))


def _in_order(found: Sequence[FoundSite], free: set[Variable]) -> list[FoundSite]:
    """Order sites by what they need; those that need each other are left as they are written."""
    needs = {site.variable: _needs(site.expressions, free) - {site.variable} for site in found}
    waiting, ordered = list(found), []
    while waiting:
        names = {site.variable for site in waiting}
        ready = [site for site in waiting if not needs[site.variable] & names]
        if not ready:
            # Only what was written as a product can be in a circle; without it the others may be in none.
            waiting.pop(
                max(number for number, site in enumerate(waiting) if site.written == 0.0 or site.kind == SHIFTED)
            )
            continue
        ordered += ready
        waiting = [site for site in waiting if all(site is not one for one in ready)]
    return ordered
