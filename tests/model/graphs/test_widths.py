"""Widths of sites: a root for each element, and one logarithm of a product, or of each element where they are many."""

import itertools

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.link.numba.dispatch.basic import numba_njit

from nutmill.model.graphs.hierarchies.widths import OfWidth, inverse_width, log_width
from nutmill.model.lowering.inline import graph_function, linked_function
from nutmill.model.lowering.inline.elements.reducers import LogProduct
from nutmill.model.rewriting.rewrite import rewrite

RNG = np.random.default_rng(1)
N = 21

CENTREDNESSES = {
    "non-centred": np.zeros(N),
    "centred": np.ones(N),
    "both": RNG.integers(0, 2, N).astype(float),
    "between": RNG.uniform(size=N),
    "one between": np.where(np.arange(N) == N - 1, 0.3, 1.0),
}


def written_out(c, s):
    return pt.sqrt(1.0 - c + c * s * s)


def with_gradients(x, c, s, functions=None):
    inverse, logarithm = functions or (inverse_width(c, s), log_width(c, s))
    y = x * inverse
    value = pt.sum(pt.exp(-y * y) + pt.sin(s) * y - logarithm)
    return [value, *pt.grad(value, [x, s])]


def compiled(inputs, outputs, *, ours):
    fgraph = rewrite(inputs, [], outputs, hoist=False, ours=ours).fgraph
    function = graph_function(fgraph) if ours else linked_function(fgraph)
    return numba_njit(function.py_func, final_function=True)


@pytest.fixture(
    scope="module",
    params=itertools.product([pt.scalar, pt.vector], [True, False]),
    ids=lambda pair: f"{pair[0].__name__}-{'ours' if pair[1] else 'Numba'}",
)
def functions(request):
    """Value and gradients of a site by one scale, and by one for each element; PyTensor's Numba form of it."""
    kind, ours = request.param
    inputs = [pt.vector("x"), pt.vector("c"), kind("s")]
    width = written_out(*inputs[1:])
    expected = with_gradients(*inputs, functions=(1.0 / width, pt.log(width)))
    return (
        () if kind is pt.scalar else (N,),
        compiled(inputs, with_gradients(*inputs), ours=ours),
        pytensor.function(inputs, expected, mode=Mode("py", None)),
    )


@pytest.mark.parametrize("c", CENTREDNESSES.values(), ids=CENTREDNESSES)
def test_values_and_gradients_are_those_of_roots_and_logarithms(functions, c):
    shape, function, expected = functions
    for size in (0.1, 3.0):
        given = RNG.normal(size=N), c, np.asarray(np.exp(size * RNG.normal(size=shape)))
        for found, right in zip(function(*given), expected(*given), strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-12 * np.abs(right).max())


@pytest.mark.parametrize("n", [LogProduct.LONGEST, LogProduct.LONGEST + 1])
@pytest.mark.parametrize("log_scale", [-290.0, 0.3, 290.0])
def test_products_of_any_size_are_numbers(functions, n, log_scale):
    """The logarithm of a product of squared widths that no float64 could hold."""
    shape, function, _ = functions
    c, s = np.where(RNG.integers(0, 2, n), 1.0, 0.4), np.full(shape and n, np.exp(log_scale))
    found, *_ = function(np.zeros(n), c, s)
    assert found == pytest.approx(n - 0.5 * np.log(1.0 - c + c * s * s).sum(), rel=1e-13)


def test_each_element_takes_one_root_and_one_logarithm():
    x, c, s = pt.vector("x"), pt.vector("c"), pt.scalar("s")
    graph = rewrite([x, c, s], [], with_gradients(x, c, s), hoist=False).fgraph
    scalar_ops = [node.op.scalar_op for node in graph.apply_nodes if hasattr(node.op, "scalar_op")]
    inner = [part.op for op in scalar_ops if hasattr(op, "fgraph") for part in op.fgraph.apply_nodes]
    of_widths = [type(op) for op in (*inner, *scalar_ops) if isinstance(op, OfWidth)]
    assert sorted(kind.__name__ for kind in of_widths) == ["InverseWidth", "LogWidth"]
