"""Which intercepts are found in a model, and what is added to them: whatever the form in which it is written."""

import numpy as np
import pymc as pm
import pytest
from pytensor.compile.mode import Mode

from nutmill.model.graphs.hierarchies.sites import find_sites
from nutmill.nuts.state import ALONE, SHIFTED, TURNING

GROUP, OTHER = np.array([0, 2, 1, 1]), np.array([3, 2, 1, 0])


def model_of(total) -> pm.Model:
    """A model of `total(a, v, z, tau)`, with effects v of scale tau and standard deviates z."""
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 1.0)
        a, b = pm.Normal("a", 0.0, 2.0), pm.Normal("b", 0.0, 2.0)
        v, z = pm.Normal("v", 0.0, tau, shape=3), pm.Normal("z", 0.0, 1.0, shape=4)
        pm.Normal("y", total(a, b, v, z, tau), 1.0, observed=np.zeros(4))
    return model


def kinds_of(model: pm.Model) -> dict[str, int]:
    return {site.variable.name: site.kind for site in find_sites(model)}


@pytest.mark.parametrize(
    ("total", "kinds"),
    [
        (lambda a, b, v, z, tau: a + v[GROUP], {"v": TURNING, "a": SHIFTED}),
        (lambda a, b, v, z, tau: v[GROUP] + (b * np.arange(4.0) + a), {"v": TURNING, "a": SHIFTED}),
        (lambda a, b, v, z, tau: a + (tau * z)[OTHER], {"v": ALONE, "z": TURNING, "a": SHIFTED}),
        (lambda a, b, v, z, tau: a + z[OTHER] * tau, {"v": ALONE, "z": TURNING, "a": SHIFTED}),
        (lambda a, b, v, z, tau: a + z * tau + v[GROUP], {"v": TURNING, "z": TURNING, "a": SHIFTED}),
        (lambda a, b, v, z, tau: a + (z * tau + v[GROUP]), {"v": TURNING, "z": TURNING, "a": SHIFTED}),
        (lambda a, b, v, z, tau: a + v[GROUP] * np.ones(4, int), {"v": TURNING, "a": SHIFTED}),
        (lambda a, b, v, z, tau: a + pm.Deterministic("d", v)[GROUP], {"v": TURNING, "a": SHIFTED}),
        (lambda a, b, v, z, tau: a + b + v[GROUP], {"v": TURNING, "a": SHIFTED}),  # the first alone
        (lambda a, b, v, z, tau: a + v[GROUP] * np.arange(4.0), {"v": ALONE}),
        (lambda a, b, v, z, tau: a * v[GROUP], {"v": ALONE}),
        (lambda a, b, v, z, tau: a - v[GROUP], {"v": ALONE}),
        (lambda a, b, v, z, tau: a + v[GROUP] * v[OTHER - 1], {"v": ALONE}),
        (lambda a, b, v, z, tau: a + pm.math.exp(v)[GROUP], {"v": ALONE}),
        (lambda a, b, v, z, tau: a + b * z, {"v": ALONE}),
        (lambda a, b, v, z, tau: v[GROUP], {"v": ALONE}),
    ],
)
def test_what_is_added_to_an_intercept(total, kinds):
    assert kinds_of(model_of(total)) == kinds


def test_an_intercept_is_located_by_what_the_effects_are_in_the_mean():
    model = model_of(lambda a, b, v, z, tau: a + v[GROUP] + 0.5 * (tau * z)[OTHER])
    *_, intercept = find_sites(model)
    given = {model["v"]: [1.0, 2.0, 6.0], model["z"]: [0.0, 0.0, 0.0, 4.0], model["tau"]: 3.0}
    found = intercept.location.eval(given, mode=Mode("py", None))
    assert intercept.variable is model["a"]
    np.testing.assert_allclose(found, -(3.0 + 0.5 * 3.0), rtol=1e-12)


def test_what_depends_on_the_intercept_does_not_locate_it():
    with pm.Model() as model:
        a = pm.Normal("a", 0.0, 2.0)
        v = pm.Normal("v", 0.0, pm.math.exp(a), shape=3)
        pm.Normal("y", a + v, 1.0, observed=np.zeros(3))
    assert kinds_of(model) == {"v": ALONE}


def test_two_intercepts_that_need_each_other_are_not_both_found():
    with pm.Model() as model:
        a, b = pm.Normal("a", 0.0, 2.0), pm.Normal("b", 0.0, 2.0)
        v = pm.Normal("v", 0.0, pm.math.exp(a), shape=3)
        w = pm.Normal("w", 0.0, pm.math.exp(b), shape=3)
        pm.Normal("y", b + v, 1.0, observed=np.zeros(3))
        pm.Normal("x", a + w, 1.0, observed=np.zeros(3))
    assert sum(kind == SHIFTED for kind in kinds_of(model).values()) == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda tau: pm.Normal("v", 1.0, tau, shape=3),
        lambda tau: pm.Normal("v", 0.0, tau * np.arange(1.0, 4.0), shape=3),
        lambda tau: pm.StudentT("v", nu=4.0, mu=0.0, sigma=tau, shape=3),
        lambda tau: pm.ZeroSumNormal("v", sigma=tau, shape=3),
        lambda tau: pm.Normal("v", 0.0, tau, shape=(3, 1))[:, 0],
    ],
    ids=["not around zero", "of several scales", "of heavy tails", "that sum to zero", "a matrix"],
)
def test_other_effects_are_left_alone(build):
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("a", 0.0, 2.0) + build(pm.HalfNormal("tau", 1.0)), 1.0, observed=np.zeros(3))
    assert kinds_of(model) == {"v": ALONE}


@pytest.mark.parametrize(("n", "kind"), [(1, ALONE), (2, TURNING), (16, TURNING), (17, ALONE)])
def test_few_effects_are_turned(n, kind):
    with pm.Model() as model:
        v = pm.Normal("v", 0.0, pm.HalfNormal("tau", 1.0), shape=n)
        pm.Normal("y", pm.Normal("a", 0.0, 2.0) + v, 1.0, observed=np.zeros(n))
    assert kinds_of(model) == {"v": kind, "a": SHIFTED}


def test_a_recursion_that_is_written_out_is_looked_through_once():
    def total(a, b, v, z, tau):
        values = [a + v[0], a + v[1]]
        for _ in range(300):
            values.append(a + b * values[-1] + b * values[-2])
        return values[-1] + v[GROUP]

    # Each step is read twice: looking at both would take 2^300 steps, and so deep a call is too much for Python.
    assert kinds_of(model_of(total)) == {"v": TURNING, "a": SHIFTED}
