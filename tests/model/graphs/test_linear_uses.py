"""Which hand-written effects are found where more is done with them than a product: sums, means taken off, copies."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode

from nutmill.model.graphs.hierarchies.sites import find_sites
from nutmill.nuts.state import ALONE, TURNING

GROUP, OTHER, KEPT = np.array([0, 2, 1, 1]), np.array([2, 1, 2, 0]), np.array([True, False, True])


def model_of(product, shape=3, **deviates) -> pm.Model:
    """A model of `product(z, tau, free)`, with standard deviates z, a scale tau and numbers on the real line."""
    with pm.Model() as model:
        tau, free = pm.HalfNormal("tau", 1.0), pm.Normal("free", pt.arange(3.0), 2.0, shape=3)
        z = pm.Normal("z", deviates.get("mu", 0.0), deviates.get("sigma", 1.0), shape=shape)
        pm.Deterministic("effect", product(z, tau, free))
    return model


@pytest.mark.parametrize(
    ("product", "found"),
    [
        (lambda z, tau, free: (z - z.mean()) * tau, True),
        (lambda z, tau, free: (z[GROUP] - pt.mean(z)) * tau, True),
        (lambda z, tau, free: tau * (z - z.sum() / 3.0), True),
        (lambda z, tau, free: tau * (z[GROUP] - z[OTHER]), True),
        (lambda z, tau, free: tau * (free[0] + z[GROUP] - z[OTHER]), True),
        (lambda z, tau, free: (free[0] + z)[GROUP] / tau, True),
        (lambda z, tau, free: tau * (z[GROUP] - free[OTHER]), True),
        (lambda z, tau, free: tau * (free - z), True),
        (lambda z, tau, free: (np.arange(3.0) - z) / tau, False),  # residuals
        (lambda z, tau, free: pt.exp(free) * (z - z.mean()), False),
        (lambda z, tau, free: pt.exp(free) * (z + free[0]), False),
        (lambda z, tau, free: pt.exp(free[0]) * (z + free[1]), True),
        (lambda z, tau, free: tau * (z - pt.exp(z).mean()), False),
        (lambda z, tau, free: tau * (z - z[0] * z), False),
        (lambda z, tau, free: tau * (free[0] + (free[1] + (free[2] + (1.0 + z)))), False),  # too many sums
        (lambda z, tau, free: pt.repeat(z, 2) * tau, True),
        (lambda z, tau, free: pt.repeat(z, [1, 3, 2]) * tau, True),
        (lambda z, tau, free: pt.tile(z, 2) * tau, True),
        (lambda z, tau, free: pt.tile(z, (2, 1)) * tau, True),
        (lambda z, tau, free: pt.broadcast_to(z, (2, 3)) * pt.exp(free), True),
        (lambda z, tau, free: pt.broadcast_to(z, (2, 3)) * pt.exp(free)[:2, None], False),
        (lambda z, tau, free: pt.switch(KEPT, z, 0.0) * tau, True),
        (lambda z, tau, free: pt.where(KEPT, 0, z) * pt.exp(free), True),
        (lambda z, tau, free: pt.switch(KEPT, z, free) * tau, False),
        (lambda z, tau, free: pt.switch(z > 0.0, z, 0.0) * tau, False),
    ],
)
def test_scales_of_what_is_made_of_effects(product, found):
    assert [site.written for site in find_sites(model_of(product))] == [0.0] * found


def test_a_mean_of_rows_leaves_the_columns_their_scales():
    model = model_of(lambda z, tau, free: (z - z.mean(axis=0)) * pt.exp(free), shape=(4, 3))
    (site,) = find_sites(model)
    scale = site.scale.eval({model["free"]: np.log([1.0, 2.0, 3.0])}, mode=Mode("py", None))
    np.testing.assert_allclose(np.broadcast_to(scale, (4, 3)), np.broadcast_to([1.0, 2.0, 3.0], (4, 3)), rtol=1e-12)


@pytest.mark.parametrize("shape", [(), 3])
def test_numbers_that_are_stacked(shape):
    with pm.Model() as model:
        stacked = pt.stack([pm.Normal(f"z{k}", 0.0, 1.0, shape=shape) for k in range(2)])
        pm.Deterministic("effect", pm.HalfNormal("tau", 1.0) * stacked)
    assert [(site.variable.name, site.written) for site in find_sites(model)] == [("z0", 0.0), ("z1", 0.0)]


@pytest.mark.parametrize(
    ("product", "location"),
    [
        (lambda z, tau, free: (free[1] + z) * tau, 10.0),
        (lambda z, tau, free: tau * (z[GROUP] + free[1]), 10.0),
        (lambda z, tau, free: tau * (z - free[1]), -10.0),
        (lambda z, tau, free: tau * (free[1] - z), -10.0),  # of minus the effect
        (lambda z, tau, free: 0.5 * (z + free[1]) * (2.0 * tau), 20.0),
        (lambda z, tau, free: tau * (2.0 * z + free[1]), 0.0),
        (lambda z, tau, free: tau * (free[GROUP[:3]] + z), 0.0),
    ],
)
def test_a_number_that_is_added_before_the_scale_locates_the_effects(product, location):
    model = model_of(product)
    (site,) = find_sites(model)
    given = {model["tau"]: 2.0, model["free"]: [0.0, 5.0, 0.0]}
    found = site.location.eval({v: x for v, x in given.items()}, mode=Mode("py", None), on_unused_input="ignore")
    np.testing.assert_allclose(found, location, rtol=1e-6)


@pytest.mark.parametrize(
    ("effect", "kind"),
    [
        (lambda v: v - v.mean(), TURNING),
        (lambda v: v[GROUP] - v.mean(), TURNING),
        (lambda v: 1.0 + v[GROUP] - v[OTHER], TURNING),
        (lambda v: v[1:] - v[:-1], TURNING),
        (lambda v: v[GROUP], ALONE),
        (lambda v: v[GROUP] - 1.0, ALONE),
        (lambda v: v - pt.exp(v).mean(), ALONE),
    ],
)
@pytest.mark.parametrize("is_centred", [True, False])
def test_effects_of_which_data_tell_the_differences_are_turned(effect, kind, is_centred):
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 1.0)
        v = pm.Normal("v", 0.0, tau, shape=3) if is_centred else tau * pm.Normal("v", 0.0, 1.0, shape=3)
        pm.Deterministic("effect", effect(v))
    assert [(site.written, site.kind) for site in find_sites(model)] == [(float(is_centred), kind)]


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (lambda: pm.Normal("z", 0.0, 2.5, shape=3), [False]),
        (lambda: pm.StudentT("z", nu=4.0, mu=0.0, sigma=1.0, shape=3), [True]),
        (lambda: pm.StudentT("z", nu=pm.Gamma("nu", 2.0, 0.1), mu=0.0, sigma=1.0, shape=3), [True]),
        (lambda: pm.Normal("z", 0.0, 2.5), []),  # a coefficient
        (lambda: pm.Normal("z", 1.0, 2.5, shape=3), []),
        (lambda: pm.StudentT("z", nu=4.0, mu=0.0, sigma=2.0, shape=3), []),
    ],
    ids=["wider", "heavy tails", "unknown tails", "a number", "around one", "wider heavy tails"],
)
def test_priors_of_deviates(build, found):
    with pm.Model() as model:
        pm.Deterministic("effect", build() * pm.HalfNormal("tau", 1.0))
    assert [site.is_prior for site in find_sites(model)] == found


@pytest.mark.parametrize(
    ("product", "found"),
    [
        (lambda z, tau: z[GROUP] * tau, True),
        (lambda z, tau: (2.0 * z)[GROUP] / tau, True),
        (lambda z, tau: z[1] * tau, False),
        (lambda z, tau: pt.dot(np.ones((4, 3)), z) * tau, False),
        (lambda z, tau: (1.0 + z) * tau, False),
    ],
)
def test_coefficients_of_regressions_are_no_deviates(product, found):
    """Where priors are not standard normal."""
    model = model_of(lambda z, tau, free: product(z, tau), sigma=2.5)
    assert [site.written for site in find_sites(model)] == [0.0] * found


def test_recursions_that_are_written_out_are_not_followed_to_their_ends():
    def product(z, tau, free):
        values = [free[0] + z[0]]
        for _ in range(1200):
            values.append(values[-1] + z[1])
            values[-1] = values[-1] - free[1]
        return values[-1] * tau

    assert find_sites(model_of(product)) == []
