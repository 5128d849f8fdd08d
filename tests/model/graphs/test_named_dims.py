"""Models of `pymc.dims`, whose variables have named dimensions, beside the same models without."""

import warnings

import numpy as np
import pymc as pm
import pytest
from coordinates import At

import nutmill
from nutmill import compile_model, sample_numba
from nutmill.model.graphs.hierarchies.sites import find_sites
from nutmill.results.trace import group

RNG = np.random.default_rng(20261129)
N = 30
X, G = RNG.normal(size=N), np.arange(N) % 5
Y = 1.0 + 2.0 * X + np.linspace(-1.0, 1.0, 5)[G] + RNG.normal(scale=0.3, size=N)
COORDS = {"obs": range(N), "g": list("abcde"), "part": ["p", "q", "r"]}
QUIET = {"progressbar": False, "compute_convergence_checks": False}


def named():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTensor 2 and PyMC 5 call them experimental
        import pymc.dims as pmd

    with pm.Model(coords=COORDS) as model:
        x, g, y = pmd.Data("x", X, dims="obs"), pmd.Data("g_of", G, dims="obs"), pmd.Data("y_of", Y, dims="obs")
        scale = pmd.HalfNormal("scale", 1.0)
        tau = pmd.HalfNormal("tau", 1.0)
        effect = pmd.Normal("effect", 0.0, tau, dims="g")
        slope = pmd.Normal("slope", 0.0, 2.0)
        share = pmd.Beta("share", 2.0, 3.0, dims="part")
        z = pmd.Normal("z", 0.0, 1.0, dims="g")
        total = effect + pmd.math.sqrt(tau) * z
        mean = pmd.Deterministic("mean", slope * x + total.isel(g=g) + share.sum(dim="part"))
        pmd.Normal("y", mean, scale, observed=y)
    return model


def plain():
    with pm.Model(coords=COORDS) as model:
        x, g, y = pm.Data("x", X, dims="obs"), pm.Data("g_of", G, dims="obs"), pm.Data("y_of", Y, dims="obs")
        scale = pm.HalfNormal("scale", 1.0)
        tau = pm.HalfNormal("tau", 1.0)
        effect = pm.Normal("effect", 0.0, tau, dims="g")
        slope = pm.Normal("slope", 0.0, 2.0)
        share = pm.Beta("share", 2.0, 3.0, dims="part")
        z = pm.Normal("z", 0.0, 1.0, dims="g")
        total = effect + pm.math.sqrt(tau) * z
        mean = pm.Deterministic("mean", slope * x + total[g] + share.sum(), dims="obs")
        pm.Normal("y", mean, scale, observed=y, dims="obs")
    return model


@pytest.fixture(scope="module")
def both():
    return compile_model(named()), compile_model(plain())


def assert_same_density(mine, other):
    for q in RNG.normal(size=(3, mine.n_dim)):
        (value, gradient), (expected, slopes) = mine.logp_dlogp(q), other.logp_dlogp(q)
        assert value == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-11, atol=1e-11)


def test_the_density_is_that_of_the_model_without_names(both):
    assert_same_density(*both)
    assert_same_density(*(compiled.with_data(x=X[:7], g_of=G[:7], y_of=Y[:7]) for compiled in both))


def test_hierarchies_are_seen_through_the_names(both):
    found = [[(site.variable.name, site.written) for site in find_sites(build())] for build in (named, plain)]
    assert found == 2 * [[("effect", 1.0), ("z", 0.0)]]
    for q, centredness in zip(RNG.normal(size=(3, both[0].n_dim)), RNG.random((3, both[0].n_dim)), strict=True):
        (value, gradient), (expected, slopes) = (At(compiled, centredness).density(q) for compiled in both)
        assert value == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-11, atol=1e-11)


def test_starts_are_too(both, tmp_path):
    given = {"scale": 0.5, "effect": np.arange(5.0), "share": [0.2, 0.3, 0.9]}
    mine, other = both
    mine.save(tmp_path / "named.nut", log_likelihood=True)
    for compiled in (mine, nutmill.load(tmp_path / "named.nut")):
        for initvals in (None, given):
            options = {"jitter": False}
            np.testing.assert_allclose(
                compiled.starts(initvals, 2, 1, **options), other.starts(initvals, 2, 1, **options), rtol=1e-14
            )
        assert np.isfinite(compiled.starts(None, 2, 1, jitter=True)).all()
    assert np.isfinite(mine.starts(None, 2, 1, jitter=True, from_prior=True)).all()


def test_the_result_is_built_as_that_of_the_model_without_names(both):
    options = {"draws": 20, "chains": 2, "random_seed": 1, "centring": "off", "idata_kwargs": {"log_likelihood": True}}
    mine, other = (sample_numba(compiled, **options, **QUIET) for compiled in both)
    for name in ("posterior", "log_likelihood", "observed_data", "constant_data"):
        found, expected = group(mine, name).data_vars, group(other, name).data_vars
        assert {key: values.dims for key, values in found.items()} == {k: v.dims for k, v in expected.items()}
    np.testing.assert_array_equal(group(mine, "posterior")["part"], group(other, "posterior")["part"])
    drawn = group(mine, "posterior")
    effect = drawn["effect"].values + np.sqrt(drawn["tau"].values)[..., None] * drawn["z"].values
    mean = drawn["slope"].values[..., None] * X + effect[..., G] + drawn["share"].sum("part").values[..., None]
    np.testing.assert_allclose(drawn["mean"].values, mean, rtol=1e-12)


def test_data_that_change_are_seen(both):
    model = named()
    with model, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model["x"].set_value(X + 1.0)
    assert_same_density(compile_model(model), both[1].with_data(x=X + 1.0))
