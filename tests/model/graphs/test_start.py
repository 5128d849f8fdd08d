"""Graphs that run once: values, nothing run that they do not need, nothing compiled."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from nutmill.model.cache.recognition import start_of
from nutmill.model.graphs.start import evaluate


class Deadly(Op):
    """Whose values nobody may ask for."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        raise AssertionError("it was run")


def test_what_only_a_shape_is_asked_of_is_not_run():
    values = Deadly()(pt.as_tensor(np.ones((2, 3))))
    zeros, ones, shape = evaluate([], [], [pt.zeros_like(values), pt.ones_like(values), pt.shape(values)])
    np.testing.assert_array_equal(zeros, np.zeros((2, 3)))
    np.testing.assert_array_equal(ones, np.ones((2, 3)))
    np.testing.assert_array_equal(shape, [2, 3])
    with pytest.raises(AssertionError, match="it was run"):
        evaluate([], [], [values])


def test_what_is_not_taken_of_a_stack_is_not_run():
    x, bad = pt.lscalar("x"), Deadly()(pt.as_tensor(1))
    stack = pt.stack([bad, x, pt.cast(x, "int32") + 1])
    second, last = evaluate([x], [np.array(5)], [stack[1], stack[-1]])
    assert (second, last) == (5, 6) and second.dtype == last.dtype == stack.dtype
    for taken in (stack[0], stack[pt.as_tensor(x - 5)], stack[:2]):
        with pytest.raises(AssertionError, match="it was run"):
            evaluate([x], [np.array(5)], [taken])


def test_a_random_walk_of_vectors_with_dims_starts():
    """PyMC checks that the vectors have one element more than they have."""
    with pm.Model(coords={"time": range(6), "k": range(2)}) as model:
        init = pm.MvNormal.dist(np.array([1.0, 2.0]), np.eye(2))
        pm.MvGaussianRandomWalk("walk", np.zeros(2), cov=np.eye(2), init_dist=init, dims=("time", "k"))
    arrays, starts = start_of(model)
    (walk,) = evaluate([array.variable for array in arrays], [array.value for array in arrays], starts)
    np.testing.assert_array_equal(walk, np.tile([1.0, 2.0], (6, 1)))


def test_a_shape_that_is_not_known_is_computed():
    x = pt.matrix("x")
    filled, shape = evaluate([x], [np.zeros((4, 2))], [pt.full_like(x, 7.0), x.shape])
    np.testing.assert_array_equal(filled, np.full((4, 2), 7.0))
    np.testing.assert_array_equal(shape, [4, 2])


def test_graphs_within_are_expanded_one_in_the_other(monkeypatch):
    x = pt.vector("x")
    square = OpFromGraph([x], [x**2, x + 1.0])
    first, second = square(x)
    outer = OpFromGraph([x], [first + second])
    y = pt.vector("y")
    monkeypatch.setattr(OpFromGraph, "perform", None)
    result, inner = evaluate([y], [np.arange(3.0)], [outer(square(y)[0]), square(y)[1]])
    np.testing.assert_array_equal(result, [1.0, 3.0, 21.0])
    np.testing.assert_array_equal(inner, [1.0, 2.0, 3.0])


def test_random_values_are_those_of_their_seed():
    graph = [pm.Normal.dist(shape=3), pm.Normal.dist(shape=2)]
    first, again, other = (evaluate([], [], graph, seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == other[0]).any() and not (first[0][:2] == first[1]).any()


def test_the_start_of_a_factor_draws_none(monkeypatch):
    with pm.Model() as model:
        pm.LKJCholeskyCov("factor", eta=2.0, n=4, sd_dist=pm.HalfNormal.dist(1.0))
    arrays, starts = start_of(model)
    monkeypatch.setattr(OpFromGraph, "perform", None)
    (start,) = evaluate([array.variable for array in arrays], [array.value for array in arrays], starts)
    # Ones on the diagonal, whose logarithms are parameters, and zeros beside it.
    np.testing.assert_array_equal(start, np.zeros(10))
