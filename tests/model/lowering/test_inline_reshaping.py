"""Reshapes in place: views of rows, copies of everything else, open lengths, and shapes that do not fit."""

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, everywhere, inlined, interpreted

from nutmill import compile_model

SHAPES = [((2, 3, 4), (4, 6)), ((2, 3, 4), (-1, 2)), ((2, 0, 4), (0, 5)), ((1, 1, 1), (1, -1)), ((2, 3, 4), (6, -1))]


def check(function, inputs, outputs, point):
    assert_same(function(*point), interpreted(inputs, outputs, point))


@pytest.fixture(scope="module")
def graph():
    x, shape = pt.tensor3("x"), pt.vector("shape", dtype="int64", shape=(2,))
    matrix = x.reshape(shape, ndim=2)
    inputs, turned = [x, shape], x.transpose(2, 0, 1)
    outputs = [matrix, matrix.T * 2.0, x.reshape((-1,)), turned.reshape(shape, ndim=2)]
    return inputs, outputs, inlined(inputs, outputs)


@pytest.mark.parametrize(("given", "asked"), SHAPES)
def test_other_shapes(graph, given, asked):
    inputs, outputs, function = graph
    for name, layout in everywhere(np.random.default_rng(1).normal(size=given), columns=True).items():
        point = [layout, np.array(asked)]
        check(function, inputs, outputs, point)
        if name == "rows" and layout.size:
            assert np.shares_memory(function(*point)[0], layout)


@pytest.mark.parametrize("asked", [(5, 5), (-1, -1), (-1, 5), (0, -1), (-1, 0), (0, 24)])
def test_shapes_that_do_not_fit(graph, asked):
    with pytest.raises(ValueError, match=r"(of|in) the model"):
        graph[2](np.ones((2, 3, 4)), np.array(asked))
    if asked in [(0, -1), (-1, 0)]:
        with pytest.raises(ValueError, match="too many or too few elements"):
            graph[2](np.ones((2, 0, 4)), np.array(asked))


def test_of_two_open_lengths_neither_follows(graph):
    with pytest.raises(ValueError, match="two open lengths"):
        graph[2](np.ones((1, 1, 1)), np.array([-1, -1]))


def test_numbers_small_arrays_and_other_dtypes():
    number, line, flags = pt.scalar(), pt.vector(), pt.matrix(dtype="bool")
    short = pt.stack([line[0], line[1] * 2.0, line[2], line[0] - 1.0]).reshape((2, 2))
    inputs = [number, line, flags]
    outputs = [number.reshape((1, 1)), short, short.sum(axis=1), line[:1].reshape(()), flags.T.reshape((-1,))]
    point = [np.array(2.5), np.arange(3.0), np.array([[True, False], [True, True], [False, False]])]
    check(inlined(inputs, outputs), inputs, outputs, point)


def test_a_density_with_reshapes_agrees():
    x = pt.vector("x")
    matrix = x.reshape((2, -1))
    compiled = compile_model(-((matrix @ matrix.T).reshape((-1,)) ** 2).sum(), start={"x": np.zeros(6)})
    at = np.random.default_rng(2).normal(size=6)
    m = at.reshape(2, 3)
    value, slope = compiled.logp_dlogp(at)
    np.testing.assert_allclose(value, -((m @ m.T) ** 2).sum(), rtol=1e-12)
    np.testing.assert_allclose(slope, (-4 * m @ m.T @ m).ravel(), rtol=1e-12)
