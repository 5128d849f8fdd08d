"""Covariances in one triangle and distances by columns: against PyTensor's interpreter, and what must stay whole."""

from functools import cache

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from model.inlining import INTERPRETED, density_function, interpreted
from pytensor.gradient import grad
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Composite, add, float64, mul, neg, sub, switch, true_div
from pytensor.tensor.math import Dot

from nutmill import compile_model
from nutmill.model.rewriting.fusion import FusedLoop
from nutmill.model.rewriting.one_triangle import _vanishing
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.model.rewriting.stable import simplify

N = 70  # more than two strips of a row, and no whole number of them


@cache
def processes():
    """A model of marginal Gaussian processes, one for each kind of distance."""
    rng = np.random.default_rng(1)
    x, wide = np.sort(rng.uniform(0.0, 5.0, (N, 1)), axis=0), rng.uniform(0.0, 3.0, (N, 3))
    y = np.sin(x[:, 0]) + 0.1 * rng.normal(size=N)
    with pm.Model() as model:
        scale = pm.HalfNormal("scale")
        scales = pm.HalfNormal("scales", shape=3)
        kernels = {
            "added": (scale**2 * pm.gp.cov.ExpQuad(1, scales[0]) + pm.gp.cov.Matern52(1, scales[1]), x),
            "of columns": (pm.gp.cov.Matern32(3, scales), wide),
            "of one scale": (pm.gp.cov.ExpQuad(3, scale, active_dims=[0, 2]), wide),
            "periodic": (scale * pm.gp.cov.Periodic(1, period=1.7, ls=scales[2]), x),
        }
        for name, (kernel, points) in kernels.items():
            pm.gp.Marginal(cov_func=kernel).marginal_likelihood(name, X=points, y=y, sigma=0.3 + scale)
    return model


def test_marginal_processes_are_those_of_pymc():
    model = processes()
    compiled, position = compile_model(model), np.array([0.3, -0.2, 0.4, 0.1])
    point = {"scale_log__": position[0], "scales_log__": position[1:]}
    value, gradient = compiled.logp_dlogp(position)
    assert value == pytest.approx(float(model.compile_logp(mode=INTERPRETED)(point)), rel=1e-10)
    np.testing.assert_allclose(gradient, model.compile_dlogp(mode=INTERPRETED)(point), rtol=1e-8)


X = np.linspace(0.0, 2.0, 45)
Y = np.cos(3.0 * X)


def covariance(theta):
    return theta[0] * pt.exp(-((X[:, None] - X) ** 2) / theta[1]) + theta[2] * pt.eye(len(X))


def normal(matrix):
    return pm.logp(pm.MvNormal.dist(np.zeros(len(X)), cov=matrix), Y)


def triangles(logp, theta):
    """How many loops of a density and its gradient stop at the diagonal, and how many go over a whole matrix."""
    stable = simplify(logp)
    graph = rewrite([theta], [], [stable, grad(stable, theta)], hoist=False).fgraph
    loops = [node for node in graph.apply_nodes if isinstance(node.op, FusedLoop)]
    matrices = [node.op.triangle for node in loops if max(v.type.ndim for v in node.inputs) == 2]
    return sum(matrices), len(matrices) - sum(matrices)


# Of a covariance, what else is read of it; and whether loops stop at the diagonal.
READERS = {
    "nothing": (lambda matrix: 0.0, True),
    "another density": (lambda matrix: normal(2.0 * matrix), True),
    "its sum": (lambda matrix: 0.01 * matrix.sum(), False),
    "what lies above": (lambda matrix: 0.01 * pt.triu(matrix, 1).sum(), False),
    "its largest": (lambda matrix: 0.01 * matrix.max(), False),
}


@pytest.mark.parametrize("name", READERS)
def test_loops_stop_at_the_diagonal_unless_more_is_read(name):
    theta = pt.vector("theta", shape=(3,))
    matrix = covariance(theta)
    reader, stops = READERS[name]
    halved, whole = triangles(normal(matrix) + reader(matrix), theta)
    assert (halved > 0 and whole == 0) if stops else whole > 0


def test_values_and_gradients_with_all_readers():
    thetas = [pt.vector(name, shape=(3,)) for name in READERS]
    logp = sum(
        normal(matrix) + reader(matrix)
        for matrix, (reader, _) in zip(map(covariance, thetas), READERS.values(), strict=True)
    )
    points = [np.array([0.8, 0.6, 0.3])] * len(thetas)
    expected = interpreted(thetas, [logp, *grad(logp, thetas)], points)
    for one, other in zip(density_function(logp, thetas)(*points), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_results_that_are_zero_where_operands_are():
    a, b, c = (float64(name) for name in "abc")
    cases = [
        (mul(a, b), [True, False], True),
        (true_div(a, b), [True, False], True),
        (true_div(b, a), [True, False], False),
        (sub(a, b), [True, False], False),
        (sub(a, neg(b)), [True, True], True),
        (add(a, mul(b, c)), [True, False, True], True),
        (add(a, mul(b, c)), [True, False, False], False),
        (switch(c, a, b), [True, False, False], False),
        (switch(c, a, 0.0 * b), [True, False, False], True),
        (switch(b, mul(a, c), a), [True, False, False], True),
    ]
    for result, zero, expected in cases:
        inputs = [a, b, c][: len(zero)]
        assert (_vanishing(Composite(inputs, [result]), zero) == {0}) is expected, result


def distances(points, scales, parameters):
    """Whether a covariance of scaled points is made of their product, as PyMC has it."""
    kernel = pm.gp.cov.ExpQuad(points.type.shape[1], scales)
    with pm.Model():
        stable = simplify(kernel(points).sum(), parameters=parameters)
    return any(v.owner is not None and isinstance(v.owner.op, Dot) for v in ancestors([stable]))


def test_distances_of_parameters_stay_as_they_are():
    points, scales = pt.matrix("points", shape=(9, 2)), pt.vector("scales", shape=(2,))
    assert distances(points, scales, parameters=[scales, points])
    assert not distances(points, scales, parameters=[scales])
