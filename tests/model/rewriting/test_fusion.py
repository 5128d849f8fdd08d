"""Fused loops: what is fused and what is not, values as the interpreter has them, memory worked on in place."""

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_same, interpreted
from pytensor.graph.fg import FunctionGraph
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.tensor.elemwise import CAReduce, Elemwise

from nutmill.model.lowering.inline import graph_function
from nutmill.model.rewriting.fusion import FusedLoop, Reduced, Stored, fuse_loops
from nutmill.model.rewriting.rewrite import rewrite

RNG = np.random.default_rng(1)


def fused(inputs, outputs):
    """The graph with its loops fused, and nothing else done to it."""
    fgraph = FunctionGraph(list(inputs), list(outputs), clone=True)
    fuse_loops.rewrite(fgraph)
    return fgraph


def loops(fgraph):
    return [node.op for node in fgraph.toposort() if isinstance(node.op, FusedLoop)]


def assert_computes(fgraph, inputs, outputs, arrays):
    function = numba_njit(graph_function(fgraph).py_func, final_function=True)
    assert_same(function(*arrays), interpreted(inputs, outputs, arrays), rtol=1e-12)


def test_sums_over_everything_become_part_of_the_loop():
    x, y = pt.matrix(), pt.matrix()
    product = x * pt.exp(y)
    outputs = [product.sum(), product.max(), (product > 1.0).any(), product.prod()]
    fgraph = fused([x, y], outputs)
    assert not any(isinstance(node.op, CAReduce) for node in fgraph.toposort())
    arrays = [RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))]
    assert_computes(fgraph, [x, y], outputs, arrays)
    assert_computes(fgraph, [x, y], outputs, [np.asfortranarray(arrays[0]), arrays[1][:, ::-1]])


def test_a_result_that_is_used_otherwise_is_kept():
    x = pt.vector()
    squares = x * x
    outputs = [squares.sum(), squares[::-1], squares]
    fgraph = fused([x], outputs)
    (op,) = loops(fgraph)
    assert [type(result) for result in op.results] == [Stored, Reduced]
    assert_computes(fgraph, [x], outputs, [RNG.normal(size=5)])
    assert_computes(fgraph, [x], outputs, [np.zeros(0)])


def test_sums_over_some_axes_stay_on_their_own():
    x = pt.matrix()
    fgraph = fused([x], [pt.exp(x).sum(axis=0), pt.log1p(x).sum(axis=1)])
    assert not loops(fgraph)


def test_indexed_rows_are_read_by_the_loop():
    table, index, x, other = pt.vector(), pt.lvector(), pt.vector(), pt.matrix()
    outputs = [(table[index] * x + table[index]).sum(), pt.exp(other[index])]
    fgraph = fused([table, index, x, other], outputs)
    assert all(op.indices.count(None) < len(op.indices) for op in loops(fgraph))
    arrays = [RNG.normal(size=3), np.array([0, 2, -1, 1, -3]), RNG.normal(size=5), RNG.normal(size=(3, 2))]
    assert_computes(fgraph, [table, index, x, other], outputs, arrays)
    function = numba_njit(graph_function(fgraph).py_func, final_function=True)
    with pytest.raises(IndexError, match="out of range"):
        function(arrays[0], np.array([0, 3, 0, 0, 0]), *arrays[2:])
    with pytest.raises(ValueError, match="different lengths"):
        function(*arrays[:2], np.ones(4), arrays[3])


def test_rows_that_others_read_too_are_taken_first():
    table, index = pt.vector(), pt.lvector()
    rows = table[index]
    outputs = [pt.exp(rows), rows]
    fgraph = fused([table, index], outputs)
    assert not loops(fgraph)
    assert_computes(fgraph, [table, index], outputs, [RNG.normal(size=3), np.array([2, 0])])


def test_loops_that_work_in_place_still_do():
    x, y = pt.vector(), pt.vector()
    kept = Elemwise((x + y).owner.op.scalar_op, inplace_pattern={0: 0})(x, y)
    outputs = [kept, kept.sum()]
    fgraph = FunctionGraph([x, y], outputs, clone=True)
    fuse_loops.rewrite(fgraph)
    (op,) = loops(fgraph)
    assert op.destroy_map == {0: [0]}
    a, b = np.arange(3.0), np.ones(3)
    found = numba_njit(graph_function(fgraph).py_func, final_function=True)(a, b)
    np.testing.assert_array_equal(a, [1.0, 2.0, 3.0])
    assert_same(found, [np.array([1.0, 2.0, 3.0]), np.array(6.0)])


def test_a_whole_gradient_reads_and_sums_in_loops():
    effect, index, x = pt.vector("effect"), pt.lvector("index"), pt.vector("x")
    logp = -0.5 * ((x - effect[index]) ** 2).sum() - 0.5 * (effect**2).sum()
    outputs = [logp, pt.grad(logp, effect)]
    fgraph = rewrite([effect], [index, x], outputs, hoist=False).fgraph
    assert any(isinstance(result, Reduced) for op in loops(fgraph) for result in op.results)
    arrays = [RNG.normal(size=4), RNG.integers(0, 4, 50), RNG.normal(size=50)]
    assert_computes(fgraph, [effect, index, x], outputs, arrays)
