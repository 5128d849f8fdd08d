"""A linear recurrence as one operation: values, gradients, batches, in our form and in PyTensor's Numba form."""

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.link.numba.dispatch.basic import numba_njit

from nutmill.model.graphs.hierarchies.linear_recurrence import LinearRecurrence, Neighbour, before, linear_recurrence
from nutmill.model.lowering.inline import graph_function, linked_function
from nutmill.model.rewriting.rewrite import rewrite


def compiled(inputs, outputs, *, ours):
    fgraph = rewrite(inputs, [], outputs, hoist=False, ours=ours).fgraph
    function = graph_function(fgraph) if ours else linked_function(fgraph)
    return numba_njit(function.py_func, final_function=True)


def written_out(factors, b):
    """Values, and the gradients of the sum of their squares, from the matrix that takes b to v."""
    n = b.shape[-1]
    values, gradient = np.empty_like(b), np.empty_like(b)
    for row in np.ndindex(b.shape[:-1]):
        matrix = np.linalg.inv(np.eye(n) - sum(np.diag(a[row][k:], -k) for k, a in enumerate(factors, 1) if k < n))
        values[row] = matrix @ b[row]
        gradient[row] = 2.0 * matrix.T @ values[row]
    padded = [np.concatenate([np.zeros((*b.shape[:-1], k)), values], axis=-1)[..., :n] for k in (1, 2, 3)]
    return [values, *(gradient * before for _, before in zip(factors, padded, strict=False)), gradient]


@pytest.mark.parametrize("shape", [(7,), (1,), (2, 5)], ids=str)
@pytest.mark.parametrize(("order", "ours"), [(1, True), (3, True), (3, False)], ids=["1-ours", "3-ours", "3-Numba"])
def test_values_and_gradients_are_those_of_the_matrix(shape, order, ours, seed):
    rng = np.random.default_rng(seed)
    *factors, b = rng.normal(size=(order + 1, *shape))
    inputs = [pt.tensor(shape=(None,) * len(shape), dtype="float64") for _ in range(order + 1)]
    values = linear_recurrence(*inputs)
    function = compiled(inputs, [values, *pt.grad(pt.sum(values**2), inputs)], ours=ours)
    for found, expected in zip(function(*factors, b), written_out(factors, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "Numba"])
def test_neighbours_and_their_gradients(ours):
    values, weights = pt.matrix(dtype="float64"), pt.matrix(dtype="float64")
    shifted = [before(values, steps) for steps in (2, 7)]
    gradient = pt.grad(pt.sum(shifted[0] * weights), values)
    function = compiled([values, weights], [*shifted, gradient], ours=ours)
    a, b = np.random.default_rng(1).normal(size=(2, 3, 5))
    nothing = np.zeros((3, 2))
    earlier, later = np.hstack([nothing, a[:, :-2]]), np.hstack([b[:, 2:], nothing])
    for found, expected in zip(function(a, b), [earlier, np.zeros((3, 5)), later], strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(Neighbour(2)(a).eval(mode="FAST_COMPILE"), earlier)
    np.testing.assert_array_equal(Neighbour(2, backwards=True)(b).eval(mode="FAST_COMPILE"), later)


@pytest.mark.parametrize("backwards", [False, True])
def test_outside_of_compiled_code_it_is_the_same(backwards):
    rng = np.random.default_rng(1)
    *factors, b = rng.normal(size=(3, 3, 5))
    out = LinearRecurrence(backwards)(*factors, b).eval(mode="FAST_COMPILE")
    if backwards:
        turned = [np.roll(a, -k, axis=-1)[:, ::-1] for k, a in enumerate(factors, 1)]
        expected = written_out(turned, b[:, ::-1])[0][:, ::-1]
    else:
        expected = written_out(factors, b)[0]
    np.testing.assert_allclose(out, expected, rtol=1e-10)
