"""Whole graphs of operations in place: random ones, memory that is given back, graphs within graphs."""

import gc

import numba
import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, inlined, interpreted, linked
from numba.core.runtime import rtsys
from pytensor.compile.builders import OpFromGraph
from pytensor.scalar import basic as scalar_ops
from pytensor.scalar.basic import Composite, get_scalar_type
from pytensor.tensor.basic import AllocEmpty, MakeVector
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.shape import specify_shape
from pytensor.tensor.subtensor import IncSubtensor

from nutmill import compile_model

ROWS, COLUMNS = 3, 4


class Graphs:
    """Random expressions of matrices of one shape, from a stream of choices."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.inputs = [pt.matrix(), pt.matrix(), pt.lmatrix(), pt.matrix(dtype="bool"), pt.vector(), pt.lscalar()]

    def choose(self, *options):
        return options[self.rng.integers(len(options))]

    def matrix(self, depth):
        if depth == 0:
            return self.choose(*self.inputs[:4], self.inputs[4].dimshuffle("x", 0), pt.constant(1.5))
        x = pt.alloc(self.matrix(0), ROWS, COLUMNS) if depth == 1 else self.matrix(depth - 1)
        x = pt.cast(x, "float64") if x.type.dtype == "bool" else x
        return self.choose(self.elementwise, self.reduced, self.part, self.written)(x, depth)

    def elementwise(self, x, depth):
        y = self.matrix(self.rng.integers(depth))
        binary = (pt.add, pt.sub, pt.mul, pt.maximum, pt.minimum, lambda a, b: pt.switch(pt.lt(a, b), a, b))
        if y.type.dtype == "bool":
            return pt.switch(y, x, -x)
        return self.choose(*binary)(pt.clip(x, -9, 9), y)

    def reduced(self, x, depth):
        axis = self.choose(0, 1)
        total = self.choose(pt.sum, pt.max)(x, axis=axis)
        return total.dimshuffle(("x", 0) if axis == 0 else (0, "x")) - x

    def part(self, x, depth):
        return self.choose(
            lambda: x[::-1],
            lambda: x[:, ::-1],
            lambda: pt.join(0, x[1:], x[:1]),
            lambda: pt.join(1, x[:, -1:], x[:, self.inputs[5] :], x[:, : self.inputs[5]])[:, 1:],
            lambda: x[self.inputs[5]].dimshuffle("x", 0) + x * 0,
            lambda: x[:, self.choose(0, -1, 2)].dimshuffle(0, "x") * 1 + x,
        )()

    def written(self, x, depth):
        write = self.choose(pt.set_subtensor, pt.inc_subtensor)
        y = pt.cast(self.matrix(self.rng.integers(depth)), x.type.dtype)
        if y.type.broadcastable == (False, False):
            return self.choose(lambda: write(x[1:], y[:-1]), lambda: write(x[:, ::2], y[:, 1::2]))()
        return write(x[self.inputs[5]], y[0] if y.type.ndim == 2 else y)


def points(seed, n=6):
    """Values of the inputs of random graphs."""
    rng = np.random.default_rng(seed)
    shape = (ROWS, COLUMNS)
    for at in range(n):
        reals, counts = rng.normal(size=(2, *shape)), rng.integers(-3, 4, shape)
        yield [*reals, counts, rng.random(shape) < 0.5, rng.normal(size=COLUMNS), np.array(at % ROWS)]


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 30))])
def test_random_graphs(seed):
    graphs = Graphs(seed)
    outputs = [graphs.matrix(3) for _ in range(8)]
    function = inlined(graphs.inputs, outputs)
    for point in points(seed):
        assert_same(function(*point), interpreted(graphs.inputs, outputs, point), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_random_graphs_in_the_forms_of_pytensor(seed):
    graphs = Graphs(seed)
    outputs = [graphs.matrix(2) for _ in range(4)]
    ours, theirs = inlined(graphs.inputs, outputs), linked(graphs.inputs, outputs)
    for point in points(seed):
        assert_same(ours(*point), theirs(*point), rtol=1e-12)


def every_operation(*, in_place):
    """One graph with each operation in it; some of them work in place, if that is wanted."""
    x, y, line, number, n = pt.matrix(), pt.matrix(), pt.vector(), pt.scalar(), pt.lscalar()
    a = get_scalar_type("float64")()
    # In the interpreter a constant of single precision would make the sum so.
    one = scalar_ops.constant(1.0, dtype="float64")
    two = Elemwise(Composite([a], [a + one, a * a]), inplace_pattern={1: 0} if in_place else {})
    first, second = two(y * 1.0)
    add = pt.inc_subtensor(x[1:], line).owner
    outputs = [x + y * number, first, second, x.T, line.dimshuffle("x", 0), x[1:], x[n], x[n, 0], x[::-1].T[1:]]
    outputs += [
        pt.sum(x, axis=0),
        pt.max(x),
        pt.alloc(number, n, 2),
        AllocEmpty("int8")(n),
        MakeVector("float64")(number),
    ]
    outputs += [pt.join(0, x, y), specify_shape(x, (3, None)), pt.set_subtensor(x[1:], line), x.shape[0] + n]
    outputs += [IncSubtensor(add.op.idx_list, inplace=in_place)(y * 2.0, *add.inputs[1:]), x, pt.mod(x, 2.0)]
    outputs.append(Elemwise(scalar_ops.add, inplace_pattern={0: 0} if in_place else {})(pt.exp(x), y)[::-1])
    outputs += [(x * 2.0).reshape((2, -1)), y.T.reshape((-1,)), (x + 1.0).T.reshape((2, -1)).sum()]
    return [x, y, line, number, n], outputs


def test_memory_is_given_back_once(counted):
    function = inlined(*every_operation(in_place=True))
    inputs, outputs = every_operation(in_place=False)
    rng = np.random.default_rng(1)
    point = [rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=4), np.array(0.5), np.array(2)]
    expected = interpreted(inputs, outputs, point)

    @numba.njit
    def repeat(arrays, times):
        total = 0.0
        for _ in range(times):
            found = function(*arrays)
            total += found[0][0, 0] + found[8][0, 0]
        return total

    repeat(tuple(point), 2)
    function(*point)
    before = rtsys.get_allocation_stats()
    repeat(tuple(point), 1000)
    for _ in range(100):
        function(*point)
    after = rtsys.get_allocation_stats()
    assert after.alloc - before.alloc > 1000 * 10
    assert after.alloc - before.alloc == after.free - before.free
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free
    # Views live as long as they are held, whatever is freed and allocated meanwhile.
    held = [function(*(array.copy() for array in point)) for _ in range(20)]
    del point
    gc.collect()
    repeat((np.ones((3, 4)), np.ones((3, 4)), np.ones(4), np.array(0.5), np.array(2)), 50)
    for found in held:
        known = [i for i in range(len(outputs)) if i != 12]  # what is not initialised
        assert_same([found[i] for i in known], [expected[i] for i in known])


def test_graphs_within_graphs():
    x, y = pt.vector(), pt.scalar()
    square = OpFromGraph([x], [pt.sqr(x), x[::-1]])
    inner, backwards = square(x)
    both = OpFromGraph([x, y], [inner * y + backwards])
    function = inlined([x, y], [both(x, y), both(square(x)[0], y), *square(both(x, y))])
    v = np.arange(3.0)
    first = v**2 * 2.0 + v[::-1]
    expected = [first, v**4 * 2.0 + (v**2)[::-1], first**2, first[::-1]]
    assert_same(function(v, np.array(2.0)), expected)


def test_value_and_gradient_of_graphs_within_graphs():
    x, y = pt.vector("x"), pt.scalar("y")
    inner = OpFromGraph([x], [pt.exp(-pt.sqr(x)), pt.sum(x)])
    values, total = inner(x)
    outer = OpFromGraph([x, y], [pt.sum(values * y) - pt.sqr(total)])
    logp = outer(x, y) + outer(2.0 * x, pt.sin(y)) - 0.5 * pt.sqr(y)
    compiled = compile_model(logp, start={"x": np.zeros(3)})
    q = np.array([0.3, -0.2, 0.5, 0.7])
    value, gradient = compiled.logp_dlogp(q)

    def expected(q):
        pieces = compiled.split(q)
        x, y = pieces["x"], pieces["y"]
        one = [np.sum(np.exp(-(x**2)) * y) - np.sum(x) ** 2 for x, y in ((x, y), (2.0 * x, np.sin(y)))]
        return sum(one) - 0.5 * y**2

    np.testing.assert_allclose(value, expected(q), rtol=1e-13)
    steps = 1e-6j * np.eye(4)
    np.testing.assert_allclose(gradient, [expected(q + step).imag / 1e-6 for step in steps], rtol=1e-10)


@pytest.mark.parametrize("turned", ["cumsum", "large"])
def test_constants_that_folding_makes_lie_in_the_code(turned):
    # A gradient of `cumsum` turns them round: a view, of which code once kept the address, not the memory.
    n = 4 if turned == "cumsum" else 130_000
    x = pt.vector("x", shape=(n,))
    weights = pt.cos(pt.arange(n, dtype="float64"))
    density = (pt.cumsum(x) * weights).sum() if turned == "cumsum" else (x * weights).sum()
    compiled = compile_model(density)
    assert compiled.code.stands_alone
    gc.collect()
    expected = np.cos(np.arange(n))
    expected = np.cumsum(expected[::-1])[::-1] if turned == "cumsum" else expected
    np.testing.assert_allclose(compiled.logp_dlogp(np.zeros(n))[1], expected, rtol=1e-9)
