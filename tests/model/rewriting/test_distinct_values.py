"""What depends on counts alone is computed once for each distinct count: gradients, other counts, what stays."""

import numpy as np
import pymc as pm
import pytest
from artifacts import again
from model.inlining import INTERPRETED
from model.test_gradients import assert_agrees_with_differences, assert_agrees_with_pymc

from nutmill import compile_model
from nutmill.native.grouping import DISTINCT, PLACES, ROWS

N = 70
RNG = np.random.default_rng(11)
COUNTS, TRIES, X, GROUP = RNG.poisson(3.0, N), RNG.integers(5, 9, N), RNG.normal(size=(N, 3)), RNG.integers(0, 6, N)


def alpha():
    return pm.Exponential("alpha", 1.0)


def alone() -> None:
    pm.NegativeBinomial("y", mu=pm.Exponential("mu", 0.2), alpha=alpha(), observed=COUNTS)


def regression() -> None:
    mu = pm.math.exp(X @ pm.Normal("b", shape=3))
    pm.NegativeBinomial("y", mu=mu, alpha=alpha(), observed=COUNTS)


def groups() -> None:
    """The last group has no row."""
    mu = pm.math.exp(pm.Normal("level", shape=7)[GROUP])
    pm.NegativeBinomial("y", mu=mu, alpha=alpha(), observed=COUNTS)


def tries() -> None:
    y = np.minimum(COUNTS, TRIES)
    pm.BetaBinomial("y", alpha=alpha(), beta=pm.Exponential("beta", 1.0), n=TRIES, observed=y)


def shares() -> None:
    pm.DirichletMultinomial(
        "y", n=9, a=pm.Exponential("a", 1.0, shape=3), observed=RNG.multinomial(9, [0.5, 0.3, 0.2], N)
    )


def spread() -> None:
    """All counts are different, some large."""
    pm.NegativeBinomial("y", mu=pm.Exponential("mu", 1e-3), alpha=alpha(), observed=3 ** np.arange(20))


def built(likelihood) -> pm.Model:
    with pm.Model() as model:
        likelihood()
    return model


def kinds(compiled) -> set[str]:
    return {each.kind for each in compiled.code.arranged}


@pytest.mark.parametrize(
    ("likelihood", "expected"),
    [
        (alone, {DISTINCT, PLACES}),
        (regression, {DISTINCT, PLACES}),
        (groups, {DISTINCT, PLACES, ROWS}),
        (tries, {DISTINCT, PLACES}),
        (shares, {DISTINCT, PLACES}),
        (spread, {DISTINCT, PLACES}),
    ],
)
def test_gradients_are_those_of_pytensor(likelihood, expected):
    compiled = compile_model(built(likelihood))
    assert kinds(compiled) >= expected
    assert_agrees_with_pymc(compiled)
    assert_agrees_with_differences(compiled)


@pytest.mark.parametrize("stored", [False, True])
def test_new_data_may_have_other_distinct_values(stored):
    """Places are made anew, also where rows are in the order of groups, and in files."""
    with pm.Model() as model:
        group, y = pm.Data("group", GROUP), pm.Data("sold", COUNTS)
        mu = pm.math.exp(pm.Normal("level", shape=7)[group])
        pm.NegativeBinomial("y", mu=mu, alpha=alpha(), observed=y, shape=y.shape)
    compiled = compile_model(model)
    compiled = again(compiled) if stored else compiled
    new = {"group": GROUP[:30][::-1].copy(), "sold": COUNTS[:30] * 7 + 1}
    q = np.linspace(-0.5, 0.5, compiled.n_dim)
    logp, gradient = compiled.with_data(**new).logp_dlogp(q)
    with model:
        pm.set_data(new)
    point = compiled.split(q)
    assert logp == pytest.approx(model.compile_logp(mode=INTERPRETED)(point), rel=1e-11)
    np.testing.assert_allclose(gradient, model.compile_dlogp(mode=INTERPRETED)(point), rtol=1e-9, atol=1e-10)


def test_rows_of_their_own_stay():
    """A dispersion of each group, and a function of real numbers: nothing to take from a table."""
    with pm.Model() as model:
        dispersion = pm.Exponential("alpha", 1.0, shape=6)[GROUP]
        pm.NegativeBinomial("y", mu=pm.Exponential("mu", 0.2), alpha=dispersion, observed=COUNTS)
        pm.BetaBinomial("z", alpha=pm.math.exp(X[:, 0] * pm.Normal("b")), beta=1.0, n=20, observed=COUNTS)
    compiled = compile_model(model)
    assert DISTINCT not in kinds(compiled)
    assert_agrees_with_pymc(compiled)
