"""Finds where a PyMC model has a location and a scale of its own: what a hierarchy consists of, however it is written.

A site is a parameter v of a family of locations and scales whose scale depends on other parameters: v ~ N(mu, s), as
authors write a centred hierarchy. Or it is a z ~ N(0, 1) that the model multiplies by such a scale, as they write a
non-centred one, or by the Cholesky factor of an LKJ prior, whose rows are as long as standard deviations. What is found
here may be stretched by the kernel (`model.graphs.centring`); a site that is none costs efficiency, never truth.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import LogTransform
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Mul, TrueDiv
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.exceptions import NotScalarConstantError
from pytensor.tensor.math import Dot

from nutmill.model.graphs.families import FAMILIES, Family
from nutmill.model.graphs.lkj import packed_scale, row_lengths
from nutmill.model.graphs.positive import is_positive
from nutmill.model.graphs.walks import as_walk


class FoundSite(NamedTuple):
    """A site in terms of the model's random variables.

    Attributes
    ----------
    variable : Variable
        The random variable.
    written : float
        1 where its own prior has location and scale, 0 where the model multiplies it by the scale.
    location, scale : Variable
    log_density : callable
        (standard deviates xi, `further`) -> the sum of their log densities.
    further : sequence of Variable
        What else that needs.
    is_prior : bool
        Whether that is the variable's own prior, times the scale; if not, the model's log density keeps the prior.
    """

    variable: Variable
    written: float
    location: Variable
    scale: Variable
    log_density: Callable[[Variable, Sequence[Variable]], Variable]
    further: Sequence[Variable] = ()
    is_prior: bool = True

    @property
    def expressions(self) -> list[Variable]:
        """What the site is made of."""
        return [self.location, self.scale, *self.further]


def find_sites(model: pm.Model) -> list[FoundSite]:
    """Find the sites of a model, each after those that its location and scale depend on."""
    free = set(model.free_RVs)
    found = [site for rv in model.free_RVs if (site := _centred(model, rv, free))]
    standard = [rv for rv in model.free_RVs if _is_standard(model, rv)]
    if standard:
        products = _products(model, standard)
        found += [site for rv in standard if (site := _non_centred(model, rv, products, free))]
    return _in_order(found, free)


def _family_of(model: pm.Model, rv: Variable) -> Family | None:
    """Family of a variable whose parameter lies on the real line; None if it has another, or another transform."""
    family = FAMILIES.get(type(rv.owner.op))
    if family is None:
        return None
    transform = model.rvs_to_transforms.get(rv)
    fits = type(transform) is LogTransform if family.of_log else transform is None
    return family if fits else None


def _centred(model: pm.Model, rv: Variable, free: set[Variable]) -> FoundSite | None:
    if model.rvs_to_transforms.get(rv) is None and (walk := as_walk(rv)) is not None:
        site = FoundSite(rv, 1.0, walk.location, walk.scale, walk.log_density, walk.further)
    elif (scale := packed_scale(rv, model)) is not None:
        return FoundSite(rv, 1.0, pt.zeros_like(scale), scale, _log_volume, [scale], is_prior=False)
    elif (family := _family_of(model, rv)) is not None:
        location, scale, further = family.parameters(rv)
        site = FoundSite(rv, 1.0, location, scale, family.log_density, further)
    else:
        return None
    # The shape of a walk is its own.
    return site if free.intersection(ancestors([site.scale], blockers=[rv])) - {rv} else None


def _log_volume(_xi: Variable, further: Sequence[Variable]) -> Variable:
    """Log volume of a variable as the model is written, of its standard deviates, given its scale."""
    return pt.sum(pt.log(further[0]))


def _is_standard(model: pm.Model, rv: Variable) -> bool:
    """Whether the prior is of location 0 and scale 1, and has no other parameters."""
    family = _family_of(model, rv)
    if family is None or family.of_log:
        return False
    location, scale, further = family.parameters(rv)
    return not further and _constant(location) == 0.0 and _constant(scale) == 1.0


def _constant(variable: Variable) -> float | None:
    try:
        return float(pt.get_underlying_scalar_constant_value(variable))
    except NotScalarConstantError:
        return None


def _products(model: pm.Model, factors: Sequence[Variable]) -> dict[Variable, list[Apply]]:
    """Products and quotients in the model, by what is multiplied or divided."""
    found: dict[Variable, list[Apply]] = {}
    for variable in ancestors([*model.basic_RVs, *model.potentials, *model.deterministics]):
        node = variable.owner
        if node is None or len(node.inputs) != 2:
            continue
        operation = node.op.scalar_op if isinstance(node.op, Elemwise) else None
        if isinstance(operation, Mul | TrueDiv) or _multiplies_matrices(node):
            for operand in node.inputs[:1] if isinstance(operation, TrueDiv) else node.inputs:
                found.setdefault(_vector_of(operand), []).append(node)
    return found


def _vector_of(column: Variable) -> Variable:
    """Take back that PyTensor makes a column of the vector that a matrix is multiplied by."""
    is_column = column.owner is not None and getattr(column.owner.op, "new_order", None) == (0, "x")
    return column.owner.inputs[0] if is_column else column


def _multiplies_matrices(node: Apply) -> bool:
    return isinstance(getattr(node.op, "core_op", node.op), Dot)


def _non_centred(
    model: pm.Model, rv: Variable, products: dict[Variable, list[Apply]], free: set[Variable]
) -> FoundSite | None:
    """The site of a variable that is multiplied by positive expressions and factors of LKJ priors."""
    scale, product = None, rv
    while step := next(_scaled(model, product, rv, products, free), None):
        factor, product = step
        scale = factor if scale is None else scale * factor
    if scale is None:
        return None
    return FoundSite(rv, 0.0, pt.constant(0.0, dtype="float64"), scale, FAMILIES[type(rv.owner.op)].log_density)


def _scaled(
    model: pm.Model, product: Variable, rv: Variable, products: dict[Variable, list[Apply]], free: set[Variable]
) -> Iterator[tuple[Variable, Variable]]:
    """Positive factors of a product, and what it is then: all of the shape of the variable itself."""
    for node in products.get(product, ()):
        first, second = node.inputs
        other = second if first is product else first
        if _multiplies_matrices(node):
            lengths = row_lengths(other, product is first, model)
            if lengths is None:
                continue
            other = lengths[:, None] if product is second else lengths
        elif not _keeps_shape(node, rv):
            continue
        if not is_positive(other, model):
            continue
        needs = _needs([other], free)
        if needs and rv not in needs:
            divides = isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, TrueDiv)
            yield (pt.reciprocal(other) if divides else other), node.outputs[0]


def _keeps_shape(node: Apply, rv: Variable) -> bool:
    mine, theirs = rv.type.shape, node.outputs[0].type.shape
    return len(mine) == len(theirs) and all((a == 1) == (b == 1) for a, b in zip(mine, theirs, strict=True))


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
            waiting.pop(max(number for number, site in enumerate(waiting) if site.written == 0.0))
            continue
        ordered += ready
        waiting = [site for site in waiting if all(site is not one for one in ready)]
    return ordered
