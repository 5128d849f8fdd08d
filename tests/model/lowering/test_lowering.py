"""The other way to lower a model, PyTensor's Numba forms alone: one density, no form of ours, told and cached apart."""

from dataclasses import replace

import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import zoo
from assertions import assert_mean_and_variance
from model.test_gradients import EXPENSIVE, QUICK, positions
from pytensor.scan.op import Scan

from nutmill import ArgumentError, ModelError, compile_model, sample_numba
from nutmill.explanation.explaining import explain
from nutmill.model.build import density_outputs
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.model.lowering.inline import programs
from nutmill.model.lowering.ways import WAYS
from nutmill.native.compiled import from_bytes

CHEAP = ("imputed",)


@pytest.fixture(scope="module")
def normal():
    """Two independent normal variables, of which one is a number."""
    x, z = pt.vector("x", shape=(2,)), pt.scalar("z")
    logp = -0.5 * pt.sqr((x - np.array([1.0, -3.0])) / np.array([2.0, 0.5])).sum() - 0.5 * pt.sqr(z)
    return compile_model(logp, lowering="numba")


@pytest.mark.parametrize(
    "name",
    [*CHEAP, *(pytest.param(name, marks=pytest.mark.slow) for name in (*QUICK, *EXPENSIVE) if name not in CHEAP)],
)
def test_both_ways_are_one_density(name):
    ours, theirs = zoo.compiled(name), compile_model(getattr(zoo, name)(), lowering="numba")
    assert (ours.code.lowering, theirs.code.lowering) == ("nutmill", "numba") and not theirs.code.by_numba
    points = positions(ours, 3)
    for q in points:
        (value, gradient), (expected, expected_gradient) = ours.logp_dlogp(q), theirs.logp_dlogp(q)
        assert value == pytest.approx(expected, rel=1e-10)
        scale = np.abs(expected_gradient).max()
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-10 * scale)
    values, expected = ours.expand(points), theirs.expand(points)
    for key in expected:
        assert values[key].dtype == expected[key].dtype
        np.testing.assert_allclose(values[key], expected[key], rtol=1e-10, atol=1e-12)


def test_both_ways_draw_the_same_posterior(normal):
    drawn = sample_numba(
        normal, draws=2000, chains=4, random_seed=5, progressbar=False, compute_convergence_checks=False
    )
    x = drawn["posterior"]["x"].values
    assert_mean_and_variance(x[..., 0], 1.0, 4.0)
    assert_mean_and_variance(x[..., 1], -3.0, 0.25)
    assert drawn.attrs["lowering"] == "numba"


@pytest.mark.parametrize("name", ["covariance", "scan"])
def test_no_operation_of_ours_is_in_the_graph(name):
    graph = replace(from_pymc(getattr(zoo, name)()), lowering="numba")
    given = [*(parameter.variable for parameter in graph.parameters), *(site.centredness for site in graph.sites)]
    arrays = [array.variable for array in graph.arrays]
    fgraph = WAYS["numba"].rewrite(given, arrays, density_outputs(graph), hoist=True).fgraph

    def operations(nodes):
        for node in nodes:
            yield node.op
            if isinstance(node.op, Scan):
                yield from operations(node.op.fgraph.apply_nodes)

    found = list(operations(fgraph.apply_nodes))
    assert found and not [op for op in found if type(op).__module__.startswith("nutmill")]


@pytest.mark.usefixtures("compiled_anew")
def test_a_broken_form_of_ours_does_not_matter(monkeypatch):
    """What the other way is for; files and run folders with the model included."""

    def broken(*arguments, **options):
        raise AttributeError("'Elemwise' object has no attribute 'inplace_pattern'")

    monkeypatch.setattr(programs, "_operation", broken)
    with pm.Model() as model:
        pm.Exponential("x", 2.0)
    with pytest.raises(AttributeError):
        compile_model(model)
    compiled = from_bytes(compile_model(model, lowering="numba").to_bytes())
    value, gradient = compiled.logp_dlogp(np.zeros(1))  # of the logarithm of x
    assert value == pytest.approx(np.log(2.0) - 2.0) and gradient == pytest.approx([-1.0])


def test_the_cache_keeps_the_ways_apart(model_cache):
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0)
    ours, theirs = (compile_model(model, lowering=lowering) for lowering in ("nutmill", "numba"))
    assert not ours.code.from_cache and not theirs.code.from_cache
    for lowering in ("nutmill", "numba"):
        again = compile_model(model, lowering=lowering)
        assert again.code.from_cache and again.code.lowering == lowering


def test_the_model_says_how_it_was_lowered(normal):
    assert "lowered   by PyTensor's Numba forms\n" in normal.report()
    assert "lowered by PyTensor's Numba forms, and linked into one object" in str(explain(normal))
    x = pt.scalar("x")
    compiled = compile_model(-(x**2) * pt.nonzero(pt.stack([x, x]))[0].size)
    assert compiled.code.by_numba == ("Nonzero",)
    assert "by nutmill's own LLVM IR, and PyTensor's Numba forms of Nonzero" in compiled.report()


def test_another_lowering_is_refused():
    @numba.njit
    def density(q, gradient, data):
        return 0.0

    with pytest.raises(ArgumentError, match='lowering must be "nutmill" or "numba", not \'jax\''):
        compile_model(zoo.imputed(), lowering="jax")
    with pytest.raises(ModelError, match="An njit density is compiled by Numba"):
        compile_model(density, n_dim=1, lowering="numba")
