"""Normal densities with a computed covariance as one operation: against PyTensor's gradient and differences."""

from collections import Counter
from functools import cache

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from model.inlining import density_function, interpreted
from pytensor.gradient import grad
from pytensor.graph.traversal import ancestors

from nutmill.model.rewriting.normal_terms import NormalTerms
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.model.rewriting.stable import simplify

N = 7
X = np.linspace(0.0, 2.0, N)
Y = np.sin(2.0 * X)
ROWS = np.stack([Y, Y**2, 1.0 - Y])


def covariance(theta):
    """A squared exponential with noise, of three positive numbers."""
    distances = (X[:, None] - X) ** 2
    return theta[0] * pt.exp(-distances / theta[1]) + theta[2] * pt.eye(N)


def lower_alone(theta):
    """The lower triangle of a covariance, and above it numbers that must not count."""
    matrix = covariance(theta)
    return pt.tril(matrix) + pt.triu(theta[0] * matrix, 1)


def normal(y, theta, **given):
    mu = theta[0] * theta[2] * np.ones(N)
    return pm.logp(pm.MvNormal.dist(mu, **given), y)


FORMS = {
    "covariance": lambda theta: normal(Y, theta, cov=covariance(theta)),
    "its factor": lambda theta: normal(Y, theta, chol=pt.linalg.cholesky(covariance(theta))),
    "rows": lambda theta: (normal(ROWS, theta, cov=covariance(theta)) * np.array([1.0, -0.5, 2.0])).sum(),
    "rows of rows": lambda theta: normal(np.stack([ROWS, ROWS + 1.0]), theta, cov=covariance(theta)).sum(),
    "one row": lambda theta: normal(ROWS[:1], theta, cov=covariance(theta)).sum(),
    "Student's t": lambda theta: pm.logp(pm.MvStudentT.dist(3.0 + theta[0], mu=0.0, scale=covariance(theta)), Y),
    "one triangle": lambda theta: normal(Y, theta, cov=lower_alone(theta)),
    "of data": lambda theta: normal(Y, theta, cov=covariance(np.array([0.7, 0.9, 0.4]))),
}
POINT = np.array([0.8, 0.6, 0.3])


@cache
def compiled_forms():
    """One function of all forms, each with its own position and its own factor."""
    thetas = [pt.vector(name, shape=(3,)) for name in FORMS]
    factors = pt.vector("factors", shape=(len(FORMS),))
    logp = sum(factor * form(theta) for factor, form, theta in zip(factors, FORMS.values(), thetas, strict=True))
    return density_function(logp, [*thetas, factors])


def of_form(name, point):
    """Value and gradient of one form."""
    points = [point] * len(FORMS)
    _, *gradients = compiled_forms()(*points, np.ones(len(FORMS)))
    number = list(FORMS).index(name)
    return gradients[-1][number], gradients[number]


@pytest.mark.parametrize("name", FORMS)
def test_value_and_gradient_are_those_of_pytensor(name):
    theta = pt.vector("theta", shape=(3,))
    logp = FORMS[name](theta)
    value, gradient = interpreted([theta], [logp, grad(logp, theta)], [POINT])
    found = of_form(name, POINT)
    np.testing.assert_allclose(found[0], value, rtol=1e-12)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-11)


@pytest.mark.parametrize("name", FORMS)
def test_gradient_is_what_differences_give(name):
    step, (_, gradient) = 1e-3, of_form(name, POINT)
    for unit, slope in zip(np.eye(3), gradient, strict=True):
        values = [of_form(name, POINT + k * step * unit)[0] for k in (-2, -1, 1, 2)]
        assert slope == pytest.approx(np.dot([1, -8, 8, -1], values) / (12 * step), rel=1e-8)


def operations(logp, theta):
    """Count the operations of a log density and its gradient as they are compiled."""
    stable = simplify(logp)
    graph = rewrite([theta], [], [stable, grad(stable, theta)], hoist=False).fgraph
    return Counter(type(node.op).__name__ for node in graph.apply_nodes)


@pytest.mark.parametrize("name", ["its factor", "rows"])
def test_nothing_is_solved_but_the_differences(name):
    """Two solutions, and no product of matrices: of two rows that would be n^3, the rest is n^2."""
    theta = pt.vector("theta", shape=(3,))
    counts = operations(FORMS[name](theta), theta)
    assert counts["LeanCholesky"] == counts["LeanCovarianceGradient"] == 1
    assert counts["LeanSolveTriangular"] == 2
    assert counts["LeanDot"] == counts["LeanGram"] == 0


def test_a_covariance_of_data_is_not_inverted():
    theta = pt.vector("theta", shape=(3,))
    assert operations(FORMS["of data"](theta), theta)["LeanCovarianceGradient"] == 0


def by_hand(factor):
    """A normal density of which the factor is at hand."""
    solution = pt.linalg.solve_triangular(factor, Y, lower=True)
    return -0.5 * (solution**2).sum() - pt.log(pt.diagonal(factor)).sum()


OTHERS = {
    "nothing": lambda factor: 0.0,
    "a product": lambda factor: (factor @ np.ones(N)).sum(),
    "its diagonal": lambda factor: pt.diagonal(factor).sum(),
    "a solution": lambda factor: pt.linalg.solve_triangular(factor, np.ones(N), lower=True).sum(),
    "another density": by_hand,
    "the upper triangle": lambda factor: pt.linalg.solve_triangular(factor, Y, lower=False).sum(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_factors_that_serve_something_else_stay(name):
    factor = pt.linalg.cholesky(covariance(pt.vector("theta", shape=(3,))))
    logp = simplify(by_hand(factor) + OTHERS[name](factor))
    is_used = any(v.owner is not None and isinstance(v.owner.op, NormalTerms) for v in ancestors([logp]))
    assert is_used == (name in ("nothing", "another density"))


def test_no_covariance_is_a_density_of_zero():
    """Without noise, and with a negative one, there is no factor: nothing is raised, and the other forms go on."""
    for point in (np.array([0.8, 0.6, -2.0]), np.array([np.nan, 0.6, 0.3])):
        value, _ = of_form("covariance", point)
        assert not np.isfinite(value) or value == -np.inf
        assert np.isfinite(of_form("of data", np.array([0.8, 0.6, 0.3]))[0])
