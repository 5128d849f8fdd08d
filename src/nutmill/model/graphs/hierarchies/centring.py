"""Writes a log density in coordinates that the sampler may choose: between centred and not, element by element.

A site (`sites`) with location mu and scale s is written in x with centredness c between 0 and 1:

    r = sqrt(1 - c + c s^2),    xi = (x - c mu) / r,    v = mu + s xi,    log |dv/dx| = log s - log r.

With c = 1 it is x = v, centred; with c = 0 it is x = xi, non-centred; and between them the one where s is large and
the other where it is small. Of a product s z that the author wrote, xi is z. As the prior of v is that of xi divided by
s, what is left of it and the Jacobian is the log density of xi less log r: nothing is subtracted that cancels, however
small the scale is. The centrednesses are inputs, so that nothing is compiled anew when the sampler changes them.
"""

from collections.abc import Iterator, Mapping, Sequence

import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import DimShuffle

from nutmill.model.graphs.graph import GraphParameter, Site, parameter_input
from nutmill.model.graphs.hierarchies.correlated import is_factor, rewritten_as_by_pymc, sharing_factors
from nutmill.model.graphs.hierarchies.intercepts import turned
from nutmill.model.graphs.hierarchies.sites import FoundSite
from nutmill.model.graphs.hierarchies.widths import inverse_width, log_width
from nutmill.model.graphs.named_dims import plain
from nutmill.nuts.state import TURNING

# Beyond this the exponentials of log scales would no longer be numbers; such a scale is outside of the support.
LARGEST_LOG_SCALE = 300.0


def expressions_of(model: pm.Model, found: Sequence[FoundSite], densities: Sequence[Variable]) -> list[Variable]:
    """Location, scale and further parameters of all sites, in terms of the model's value variables.

    Cholesky factors that the densities hold, too, are theirs.
    """
    expressions = [expression for site in found for expression in site.expressions]
    if not any(map(is_factor, ancestors(expressions))):
        return model.replace_rvs_by_values(expressions)
    values = dict(zip(model.basic_RVs, model.replace_rvs_by_values(model.basic_RVs), strict=True))
    return sharing_factors(rewritten_as_by_pymc(expressions, values), densities)


def in_values(model: pm.Model, found: Sequence[FoundSite], lifted: Sequence[Variable]) -> list[FoundSite]:
    """Write sites in terms of the model's value variables, by what `expressions_of` gave, data lifted out of it."""
    rest: Iterator[Variable] = iter(lifted)
    values = [plain(model.rvs_to_values[site.variable]) for site in found]
    return [site.written_in(v, [next(rest) for _ in site.expressions]) for site, v in zip(found, values, strict=True)]


def recentred(
    logp: Variable,
    sites: Sequence[FoundSite],
    parameters: Sequence[GraphParameter],
    values: Mapping[Variable, Variable],
) -> tuple[Variable, tuple[Site, ...]]:
    """Write a log density in the coordinates of its sites.

    Parameters
    ----------
    logp
        That of all but the sites, in terms of the model's value variables.
    sites
        Those of `in_values`, each after those that it depends on.
    parameters
        Of the model, in the order of `values`.
    values
        Each value variable, in terms of the parameters, as the model is written.

    Returns
    -------
    The log density with the sites', and the sites, all in terms of the parameters.
    """
    if not sites:
        return clone_replace([logp], values, rebuild_strict=False)[0], ()
    places = {value: number for number, value in enumerate(values)}
    now, terms, written = dict(values), [], []
    for site in sites:
        number = places[site.variable]
        x = parameters[number].variable
        c = parameter_input(x.type, f"{x.name}_centredness")
        if (process := site.process) is not None:
            _, scale, *further = clone_replace(list(site.expressions), now, rebuild_strict=False)
            v, xi = process(x, c, scale, further)
            now[site.variable] = pt.cast(v, site.variable.dtype)
        location, scale, *further = clone_replace(list(site.expressions), now, rebuild_strict=False)
        log_scale = _log(scale)
        if process is None:
            xi = (x - c * location) * inverse_width(c, scale)
            xi = turned(xi, c, site.written) if site.kind == TURNING else xi
            now[site.variable] = pt.cast(location + scale * xi if site.written else xi, site.variable.dtype)
        terms += [site.log_density(xi, further), -pt.sum(log_width(c, scale)), _inside(log_scale)]
        whole = pt.zeros_like(x)
        of_elements = (_double(whole + location), _double(whole + log_scale))
        written.append(Site(number, site.written, c, *of_elements, site.kind))
    (rest,) = clone_replace([logp], now, rebuild_strict=False)
    return pt.add(rest, *terms), tuple(written)


def _log(scale: Variable) -> Variable:
    """Logarithm of a scale: of the one number that it is made of, if it is, which PyTensor then simplifies."""
    node = scale.owner
    if node is not None and isinstance(node.op, DimShuffle):
        return node.op(_log(node.inputs[0]))
    return pt.log(scale)


def _inside(log_scale: Variable) -> Variable:
    return pt.switch(pt.all(pt.le(pt.abs(log_scale), LARGEST_LOG_SCALE)), 0.0, -float("inf"))


def _double(variable: Variable) -> Variable:
    return pt.cast(variable, "float64")
