"""A determinant keeps its sign, and is zero of a singular matrix, whatever else a graph does with the matrix."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from model.inlining import INTERPRETED, assert_same, inlined
from pytensor.gradient import grad
from pytensor.scan.op import Scan

from nutmill import compile_model
from nutmill.model.lowering.slots import declare_slots
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.model.rewriting.stable import simplify

SHARED = {"LUFactor", "PivotToPermutations"}  # by the solves and the determinant of one matrix
SWAPPED = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])


@pytest.fixture(scope="module")
def function():
    declare_slots()
    a, b, c = pt.matrix("a"), pt.vector("b"), pt.matrix("c")
    others = [pt.linalg.inv(a), pt.linalg.solve(a, b, b_ndim=1), pt.linalg.solve(a.T, c)]
    outputs = [*pt.linalg.slogdet(a), pt.linalg.det(a), *others]
    fgraph = rewrite([a, b, c], [], outputs, hoist=False).fgraph
    assert not {type(node.op).__name__ for node in fgraph.apply_nodes} & SHARED
    return inlined(fgraph.inputs, fgraph.outputs)


@pytest.mark.parametrize("matrix", [np.ones((3, 3)), np.diag([0.0, 1.0]), np.zeros((1, 1))])
def test_of_a_singular_matrix(function, matrix):
    n = len(matrix)
    sign, logarithm, determinant, *others = function(matrix, np.ones(n), np.ones((n, 2)))
    assert (sign, logarithm, determinant) == (0.0, -np.inf, 0.0)
    assert all(np.isnan(other).all() for other in others)


@pytest.mark.parametrize("matrix", [SWAPPED, -SWAPPED, np.random.default_rng(1).normal(size=(8, 8)), np.zeros((0, 0))])
def test_of_a_matrix_whose_rows_are_exchanged(function, matrix):
    n = len(matrix)
    b, c = np.random.default_rng(2).normal(size=n), np.random.default_rng(3).normal(size=(n, 2))
    expected = [*np.linalg.slogdet(matrix), np.linalg.det(matrix)]
    expected += [np.linalg.inv(matrix), np.linalg.solve(matrix, b), np.linalg.solve(matrix.T, c)]
    assert_same(function(matrix, b, c), expected, rtol=1e-10)


def test_beside_factors_that_the_model_asks_for():
    x = pt.matrix("x", shape=(3, 3))
    _, _, upper = pt.linalg.lu(x)
    logp = pt.sin(pt.linalg.det(x)) + (upper**2).sum() - (x**2).sum()
    value = pytensor.function([x], simplify(logp), mode=INTERPRETED)(SWAPPED)
    assert value == pytest.approx(np.sin(-2.0), rel=1e-12)  # the squares are 6 on both sides


def test_log_density_and_gradient_with_solves_of_the_same_matrix():
    x = pt.matrix("x", shape=(3, 3))
    right = np.random.default_rng(5).normal(size=(3, 2))
    logp = pt.linalg.det(x) + pt.linalg.solve(x, right).sum() + pt.linalg.solve(x.T, right).sum() - (x**2).sum()
    value, gradient = compile_model(logp).logp_dlogp(SWAPPED.ravel())
    expected = pytensor.function([x], [logp, grad(logp, x)], mode=INTERPRETED)(SWAPPED)
    np.testing.assert_allclose(value, expected[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, expected[1].ravel(), rtol=1e-10)


RIGHT, LINE = np.ones((3, 2)), np.arange(3.0)


@pytest.fixture
def looped():
    """Matrices, and a sum of what a loop makes of each."""
    x = pt.tensor3("x", shape=(2, 3, 3))

    def step(a):
        return pt.linalg.det(a) + pt.linalg.solve(a, RIGHT).sum() + pt.linalg.solve(a, LINE, b_ndim=1).sum()

    return x, pytensor.scan(step, sequences=[x], return_updates=False).sum()


def test_no_factor_is_shared_in_a_loop(looped):
    x, terms = looped
    (loop,) = [node for node in rewrite([x], [], [terms], hoist=False).fgraph.apply_nodes if isinstance(node.op, Scan)]
    operations = " ".join(str(node.op) for node in loop.op.fgraph.apply_nodes)
    assert "Det" in operations and "Solve" in operations
    assert not [name for name in SHARED if name in operations]


@pytest.mark.slow  # PyTensor's solves take twenty seconds to compile
def test_in_a_loop(looped):
    x, terms = looped
    compiled = compile_model(terms - (x**2).sum(), fuse=False)  # PyTensor's solves are no native code
    value, _ = compiled.logp_dlogp(np.stack([SWAPPED, SWAPPED]).ravel())
    solved = np.linalg.solve(SWAPPED, RIGHT).sum() + np.linalg.solve(SWAPPED, LINE).sum()
    np.testing.assert_allclose(value, 2 * (-2.0 + solved) - 12.0, rtol=1e-12)
