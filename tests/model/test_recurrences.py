"""A linear recurrence as one operation: values, gradients, batches, in our form and in PyTensor's Numba form."""

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.link.numba.dispatch.basic import numba_njit

from nutmill.model.graphs.linear_recurrence import LinearRecurrence, linear_recurrence
from nutmill.model.lowering.inline import graph_function, linked_function
from nutmill.model.rewriting.rewrite import rewrite


def compiled(inputs, outputs, *, ours):
    fgraph = rewrite(inputs, [], outputs, hoist=False, ours=ours).fgraph
    function = graph_function(fgraph) if ours else linked_function(fgraph)
    return numba_njit(function.py_func, final_function=True)


def written_out(a, b):
    """Values, and the gradient of the sum of their squares by b, from the matrix that takes b to v."""
    n = a.shape[-1]
    values, gradient = np.empty_like(b), np.empty_like(b)
    for row in np.ndindex(a.shape[:-1]):
        matrix = np.linalg.inv(np.eye(n) - np.diag(a[row][1:], -1))
        values[row] = matrix @ b[row]
        gradient[row] = 2.0 * matrix.T @ values[row]
    before = np.concatenate([np.zeros_like(values[..., :1]), values[..., :-1]], axis=-1)
    return values, gradient * before, gradient


@pytest.mark.parametrize("shape", [(7,), (1,), (2, 5)], ids=str)
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "Numba"])
def test_values_and_gradients_are_those_of_the_matrix(shape, ours, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=shape), rng.normal(size=shape)
    inputs = [pt.tensor(shape=(None,) * len(shape), dtype="float64") for _ in range(2)]
    values = linear_recurrence(*inputs)
    function = compiled(inputs, [values, *pt.grad(pt.sum(values**2), inputs)], ours=ours)
    for found, expected in zip(function(a, b), written_out(a, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backwards", [False, True])
def test_outside_of_compiled_code_it_is_the_same(backwards):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, 5))
    out = LinearRecurrence(backwards)(a, b).eval(mode="FAST_COMPILE")
    if backwards:
        expected = written_out(np.roll(a, -1, axis=-1)[:, ::-1], b[:, ::-1])[0][:, ::-1]
    else:
        expected = written_out(a, b)[0]
    np.testing.assert_allclose(out, expected, rtol=1e-10)
