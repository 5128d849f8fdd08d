"""Bernoulli densities of logits: exact far out; one exponential and one logarithm an observation, in a vector loop."""

import math
import shutil
import subprocess

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Composite, Exp, Switch
from pytensor.scalar.math import Sigmoid, Softplus
from pytensor.tensor.elemwise import Elemwise

from nutmill import compile_model
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.model.rewriting.stable import simplify
from nutmill.native.libmvec import available
from nutmill.native.processor import target

FAR_OUT = np.array([-800.0, -750.0, -40.0, -37.5, -1e-3, 0.0, 1e-9, 0.5, 36.9, 40.0, 745.5, 800.0])
LOGITS = np.tile(FAR_OUT, 2)


def in_logits(x):
    return pm.Bernoulli.dist(logit_p=x)


def in_sigmoids(x):
    return pm.Bernoulli.dist(p=pm.math.invlogit(x))


def named(x):
    return pm.Bernoulli.dist(p=pm.Deterministic("p", pm.math.sigmoid(x)))


def model_of(distribution, observed):
    with pm.Model() as model:
        x = pm.Flat("x", shape=len(LOGITS))
        pm.Potential("y", pm.logp(distribution(x), observed))
    return model


def scalar_kinds(variable):
    """Kinds of the scalar operations of a graph."""
    kinds = []
    for node in {v.owner for v in ancestors([variable]) if v.owner is not None}:
        if isinstance(node.op, Elemwise):
            assert not isinstance(node.op.scalar_op, Composite)
            kinds.append(type(node.op.scalar_op))
    return kinds


@pytest.mark.parametrize("distribution", [in_logits, in_sigmoids, named])
def test_density_and_gradient_are_exact_far_out(distribution):
    success = np.repeat([0, 1], len(FAR_OUT))
    logp, gradient = compile_model(model_of(distribution, success)).logp_dlogp(LOGITS)
    towards = np.where(success, LOGITS, -LOGITS)
    assert logp == pytest.approx(-math.fsum(max(-x, 0.0) + math.log1p(math.exp(-abs(x))) for x in towards), rel=1e-14)
    failing = np.array([math.exp(-x) / (1.0 + math.exp(-x)) if x > 0 else 1.0 / (1.0 + math.exp(x)) for x in towards])
    np.testing.assert_allclose(gradient, np.where(success, failing, -failing), rtol=1e-14, atol=5e-324)


@pytest.mark.parametrize("distribution", [in_logits, in_sigmoids, named])
def test_one_function_of_one_number_and_no_check(distribution):
    graph = from_pymc(model_of(distribution, np.arange(len(LOGITS)) % 2))
    kinds = scalar_kinds(simplify(pt.cast(graph.logp, "float64")))
    assert kinds.count(Softplus) == 1
    assert Sigmoid not in kinds


def test_impossible_outcomes_and_logits_that_are_no_number_have_no_density():
    compiled = compile_model(model_of(in_logits, np.full(len(LOGITS), 2)))
    assert compiled.logp_dlogp(LOGITS)[0] == -np.inf
    assert not np.isfinite(compiled.logp_dlogp(LOGITS * np.nan)[0])


def test_checks_of_other_parameters_stay():
    with pm.Model() as model:
        p = pm.Flat("p", shape=3)
        pm.Potential("y", pm.logp(pm.Bernoulli.dist(p=p), np.array([0, 1, 1])))
    compiled = compile_model(model)
    assert np.isfinite(compiled.logp_dlogp(np.array([0.1, 0.5, 1.0]))[0])
    assert compiled.logp_dlogp(np.array([-0.1, 0.5, 0.9]))[0] == -np.inf
    assert compiled.logp_dlogp(np.array([0.1, 0.5, 1.1]))[0] == -np.inf


def test_a_bound_within_the_range_is_checked():
    x = pt.vector("x", shape=(2,))
    compiled = compile_model(pt.switch(pt.all(pt.sigmoid(x) >= 0.5), -(x**2).sum(), -np.inf))
    assert compiled.logp_dlogp(np.array([0.5, 0.0]))[0] == -0.25
    assert compiled.logp_dlogp(np.array([0.5, -0.1]))[0] == -np.inf


def test_choice_between_values_of_one_function():
    def function(value):
        return pt.sqrt(pt.exp(-value))

    x, y = pt.vector("x", shape=(4,)), np.array([1, 0, 1, 0])
    logp = pt.switch(y, function(x), function(x**2)).sum()
    q = np.array([0.5, -1.5, 2.0, 3.0])
    compiled = compile_model(logp)
    found, gradient = compiled.logp_dlogp(q)
    chosen = np.where(y, q, q**2)
    assert found == pytest.approx(function(pt.as_tensor(chosen)).eval().sum(), rel=1e-14)
    step = 1e-6
    moved = [(compiled.logp_dlogp(q + step * e)[0] - found) / step for e in np.eye(4)]
    np.testing.assert_allclose(gradient, moved, rtol=1e-4)


def test_values_that_are_needed_elsewhere_are_not_computed_twice():
    x, z, y = pt.vector("x", shape=(4,)), pt.vector("z", shape=(4,)), np.array([1, 0, 1, 0])
    kinds = scalar_kinds(simplify(pt.switch(y, pt.exp(x), pt.exp(z)).sum() + pt.exp(x).sum()))
    assert kinds.count(Exp) == 2


def test_choice_between_a_value_for_all_and_a_value_for_each_stays():
    x, z, y = pt.vector("x", shape=(4,)), pt.scalar("z"), np.array([1, 0, 1, 0])
    simplified = simplify(pt.switch(y, pt.exp(z), pt.exp(x)).sum())
    (choice,) = [
        v.owner for v in ancestors([simplified]) if v.owner and isinstance(getattr(v.owner.op, "scalar_op", 0), Switch)
    ]
    assert all(v.owner is not None for v in choice.inputs[1:])


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs binutils to read the object's symbols")
def test_a_loop_that_works_in_place_is_vectorised(tmp_path):
    """Abilities and difficulties, gathered: the products' memory is used again for their gradients."""
    if "log1p" not in available(target()):
        pytest.skip("this machine has no vector math")
    rng = np.random.default_rng(3)
    with pm.Model() as model:
        ability, difficulty = pm.Normal("ability", shape=50), pm.Normal("difficulty", shape=20)
        who, what = rng.integers(0, 50, size=400), rng.integers(0, 20, size=400)
        logit = pt.exp(difficulty)[what] * (ability[who] - difficulty[what])
        pm.Bernoulli("y", logit_p=logit, observed=rng.integers(0, 2, size=400))
    path = tmp_path / "model.o"
    path.write_bytes(compile_model(model).code.native.code)
    symbols = subprocess.run(["nm", str(path)], capture_output=True, text=True, check=True).stdout
    assert "v_log1p" in symbols
