"""Short dimensions that are columns stay in the code, groups do not: which is which, gradients, other data."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from artifacts import again
from model.test_gradients import assert_agrees_with_differences, assert_agrees_with_pymc
from saved import refused

from nutmill import compile_model
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.model.graphs.short_dims import short_dims
from nutmill.native.grouping import PIECES

N, GROUPS, EFFECTS = 60, 5, 3
RNG = np.random.default_rng(8)
GROUP, X, Y, COUNT = RNG.integers(0, 4, N), RNG.normal(size=(N, EFFECTS)), RNG.normal(size=N), RNG.integers(0, 4, N)
COORDS = {"group": range(GROUPS), "effect": list("abc"), "row": range(N), "cut": range(3)}


def along(*dims: str, named: bool) -> dict:
    """Keywords that give a variable its dimensions, or no more than their lengths."""
    return {"dims": dims} if named else {"shape": tuple(len(COORDS[dim]) for dim in dims)}


def slopes(*, named: bool = True) -> pm.Model:
    with pm.Model(coords=COORDS) as model:
        raw = pm.Normal("raw", **along("group", "effect", named=named))
        mean, sd = (
            kind(name, **along("effect", named=named)) for kind, name in ((pm.Normal, "mean"), (pm.HalfNormal, "sd"))
        )
        slope = mean + raw * sd
        pm.Normal("y", (pm.Data("x", X) * slope[pm.Data("g", GROUP)]).sum(axis=1), observed=Y)
    return model


def factors(*, named: bool = True) -> pm.Model:
    with pm.Model(coords=COORDS) as model:
        cholesky, _, _ = pm.LKJCholeskyCov("c", eta=2.0, n=EFFECTS, sd_dist=pm.HalfNormal.dist(1.0))
        slope = pm.Normal("raw", **along("group", "effect", named=named)) @ cholesky.T
        pm.Bernoulli("y", logit_p=(X * slope[GROUP]).sum(axis=1), observed=COUNT > 1)
    return model


def ordered(*, named: bool = True) -> pm.Model:
    ordering, start = pm.distributions.transforms.ordered, [-1.0, 0.0, 1.0]
    with pm.Model(coords=COORDS) as model:
        cut = pm.Normal("c", 0.0, 1.0, transform=ordering, initval=start, **along("cut", named=named))
        pm.OrderedLogistic("y", eta=X[:, 0] * pm.Normal("b"), cutpoints=cut, observed=COUNT, compute_p=False)
    return model


def mixture(*, named: bool = True) -> pm.Model:
    with pm.Model(coords=COORDS) as model:
        w = pm.Dirichlet("w", np.ones(EFFECTS), **({"dims": "effect"} if named else {}))
        mu = pm.Normal("mu", [-1.0, 0.0, 1.0], 1.0, **along("effect", named=named))
        pm.NormalMixture("y", w=w, mu=mu, sigma=1.0, observed=Y)
    return model


def turned() -> pm.Model:
    """Groups along the last axis."""
    with pm.Model(coords=COORDS) as model:
        b = pm.Normal("b", dims=("effect", "group"))
        pm.Normal("y", b[0, GROUP] + b[1, GROUP] * X[:, 1], observed=Y)
    return model


def levels() -> pm.Model:
    """No columns at all."""
    with pm.Model(coords=COORDS) as model:
        pm.Normal("y", pm.Normal("a", dims="group")[GROUP], pm.HalfNormal("sd", dims="group")[GROUP], observed=Y)
    return model


def regression(*, named: bool = True) -> pm.Model:
    with pm.Model(coords=COORDS) as model:
        level = pm.Normal("a", dims="group")[GROUP]
        pm.Normal("y", pm.Data("x", X) @ pm.Normal("b", **along("effect", named=named)) + level, observed=Y)
    return model


def correlated() -> pm.Model:
    """A product of parameters with parameters, whose number is no column of data."""
    with pm.Model(coords=COORDS) as model:
        scale = pt.diag(pm.HalfNormal("sd", shape=EFFECTS))
        pm.Normal("y", scale @ pm.Normal("b", dims="effect"), observed=Y[:EFFECTS])
    return model


def with_rows() -> pm.Model:
    """Effects along which data have rows."""
    with pm.Model(coords=COORDS) as model:
        scale = pm.Data("scale", [1.0, 2.0, 3.0], dims="effect")
        pm.Normal("y", X * pm.Normal("b", 0.0, scale, dims="effect"), observed=X)
    return model


def crossings() -> pm.Model:
    """A table whose rows and columns are groups."""
    with pm.Model(coords=COORDS) as model:
        pm.Normal("y", pm.Normal("b", dims=("group", "effect"))[GROUP, COUNT % 3], observed=Y)
    return model


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (slopes, {"effect": 3}),
        (factors, {"effect": 3}),
        (ordered, {"cut": 3}),
        (mixture, {"effect": 3}),
        (turned, {}),
        (levels, {}),
        (regression, {"effect": 3}),
        (correlated, {}),
        (with_rows, {}),
        (crossings, {}),
    ],
)
def test_which_dimensions_are_columns(build, expected):
    model = build()
    assert short_dims(model, [model.logp()]) == expected


@pytest.mark.parametrize("build", [slopes, factors, ordered, mixture, regression])
def test_named_lengths_are_as_good_as_numbers(build):
    """Types of parameters are those of a model that has numbers in place of dimensions, but for groups."""
    named, numbers = ([p.variable.type.shape for p in from_pymc(build(named=n)).parameters] for n in (True, False))
    assert [shape[-1:] for shape in named] == [shape[-1:] for shape in numbers]


@pytest.fixture(scope="module")
def compiled():
    return compile_model(slopes())


def test_gradients_are_those_of_pytensor(compiled):
    assert PIECES in {each.kind for each in compiled.code.arranged}
    assert_agrees_with_pymc(compiled)
    assert_agrees_with_differences(compiled)


@pytest.mark.parametrize("build", [factors, ordered, mixture])
def test_gradients_of_others(build):
    other = compile_model(build())
    assert_agrees_with_pymc(other)
    assert_agrees_with_differences(other)


@pytest.mark.parametrize("stored", [False, True])
def test_groups_may_change_and_columns_may_not(compiled, stored):
    model = again(compiled) if stored else compiled
    more = model.with_data(coords={"group": range(7)}, g=GROUP + 3)
    assert more.n_dim == compiled.n_dim + 2 * EFFECTS and np.isfinite(more.logp_dlogp(np.full(more.n_dim, 0.1))[0])
    with refused(
        r"^The dimension effect has length 3, and its loops are unrolled in the code: build the model with 4,"
    ):
        model.with_data(coords={"effect": list("abcd")}, x=RNG.normal(size=(N, 4)))
    same = model.with_data(coords={"effect": list("xyz")})
    assert list(same.coords["effect"]) == list("xyz")


def test_a_model_with_other_columns_is_another_one(compiled):
    """It is not recognised as the first, whose code would read its parameters as a table of three columns."""
    with pm.Model(coords={**COORDS, "effect": range(2)}) as model:
        raw = pm.Normal("raw", dims=("group", "effect"))
        slope = pm.Normal("mean", dims="effect") + raw * pm.HalfNormal("sd", dims="effect")
        pm.Normal("y", (pm.Data("x", X[:, :2]) * slope[pm.Data("g", GROUP)]).sum(axis=1), observed=Y)
    other = compile_model(model)
    assert other.n_dim == compiled.n_dim - GROUPS - 2
    assert_agrees_with_pymc(other)
