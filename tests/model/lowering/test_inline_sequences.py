"""Diagonals, ranges, running totals, pieces, the place of the largest, checks, mixed indices, softmax: in place."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from model.inlining import assert_agrees, everywhere, inlined
from pytensor.raise_op import Assert
from pytensor.tensor.basic import ExtractDiag
from pytensor.tensor.extra_ops import CumOp

from benchmarks import models
from nutmill import compile_model
from nutmill.model.rewriting.rewrite import rewrite

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")


@pytest.mark.parametrize("offset", [-2, 0, 1, 9])
def test_diagonals_taken_and_laid(offset):
    matrix, stack, values = pt.matrix(), pt.tensor3(), pt.matrix()
    taken = [ExtractDiag(offset, 0, 1, view)(matrix) for view in (True, False)]
    taken += [ExtractDiag(offset, 0, 2)(stack), ExtractDiag(offset, 1, 2)(stack)]
    laid = [pt.diag(values[0], offset), pt.basic.alloc_diag(values, offset=offset, axis1=1, axis2=2)]
    rng = np.random.default_rng(1)
    points = [
        [matrix_, rng.normal(size=(n, 3, 4)), rng.normal(size=(2, n))]
        for n in (0, 1, 4)
        for matrix_ in everywhere(rng.normal(size=(n, 3)), columns=True).values()
        if matrix_.flags.c_contiguous or n == 4
    ]
    assert_agrees([matrix, stack, values], [*taken, *laid], *points, rtol=0)


def test_unit_matrices_and_ranges():
    n, m, k = pt.lscalars(3)
    outputs = [pt.eye(n, m, k), pt.eye(n, m, k, dtype="int32"), pt.arange(n, m, k), pt.arange(m, n, -k)]
    outputs.append(pt.arange(n.astype("int8"), m.astype("int8")))
    function = assert_agrees(
        [n, m, k], outputs, *([np.array(i) for i in case] for case in [(2, 5, 1), (0, 4, 3), (3, 3, 2)])
    )
    with pytest.raises(ValueError, match="step of zero"):
        function(np.array(1), np.array(2), np.array(0))


@pytest.mark.parametrize("mode", ["add", "mul"])
@pytest.mark.parametrize("dtype", ["float64", "int64", "float32"])
def test_running_totals_along_each_axis(dtype, mode):
    x = pt.tensor(shape=(None,) * 3, dtype=dtype)
    array = np.random.default_rng(2).integers(1, 4, (3, 2, 4)).astype(dtype)
    outputs = [CumOp(axis, mode)(x) for axis in range(3)]
    assert_agrees([x], outputs, *([layout] for layout in everywhere(array).values()), [array[:0]])


def test_pieces_of_an_axis():
    x, lengths = pt.matrix(), pt.lvector()
    pieces = [piece for axis in (0, 1) for piece in pt.split(x, lengths, n_splits=3, axis=axis)]
    whole = pt.split(x, lengths[:1] * 0 + 6, n_splits=1)
    array = np.arange(36.0).reshape(6, 6)
    function = assert_agrees([x, lengths], [*pieces, whole], [array, np.array([1, 0, 5])])
    for wrong in ([1, 2, 2], [7, -1, 0], [3, 3]):
        with pytest.raises(ValueError, match="pieces"):
            function(array, np.array(wrong))


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2)])
def test_place_of_the_largest(axis):
    x = pt.tensor3()
    array = np.random.default_rng(3).integers(0, 4, (3, 4, 5)).astype(float)
    with_nan = array.copy()
    with_nan[1, 2, 3] = with_nan[2, 0, 0] = np.nan
    function = assert_agrees([x], [pt.argmax(x, axis=axis)], [array], [with_nan], [array[::-1, ::-1, ::-1]])
    with pytest.raises(ValueError, match="no elements"):
        function(array[:0, :0, :0])


def test_a_check_that_fails_says_its_own_words():
    x, limit = pt.vector(), pt.scalar()
    function = inlined([x, limit], [Assert("x is too long")(x, pt.lt(x.shape[0], limit), pt.gt(limit, 0.0))])
    np.testing.assert_array_equal(function(np.ones(2), np.array(3.0))[0], np.ones(2))
    for limit_ in (1.0, -1.0):
        with pytest.raises(AssertionError, match="x is too long"):
            function(np.ones(2), np.array(limit_))


X, ROWS, COLUMNS, TABLE = pt.tensor3("x"), pt.lvector("i"), pt.ivector("j"), pt.lmatrix("table")
WHOLE = slice(None)
PLACES = [(ROWS, WHOLE, COLUMNS), (TABLE, ROWS)]
# Three operations each, and each operation takes a second and a half to compile.
OTHER_PLACES = [(WHOLE, ROWS, COLUMNS), (WHOLE, WHOLE, TABLE), (WHOLE, 1, COLUMNS)]


@pytest.mark.parametrize("place", [*PLACES, *(pytest.param(place, marks=pytest.mark.slow) for place in OTHER_PLACES)])
def test_indices_of_any_rank_beside_whole_axes(place):
    value = pt.scalar()
    outputs = [X[place], pt.set_subtensor(X[place], 7.0), pt.inc_subtensor(X[place], value)]
    rng = np.random.default_rng(4)
    j, table = np.array([1, 1], "int32"), np.array([[0, 2], [1, -1]])
    point = [rng.normal(size=(3, 4, 5)), np.array([0, -1]), j, table, np.array(1.0)]
    assert_agrees([X, ROWS, COLUMNS, TABLE, value], outputs, point)


def test_an_index_out_of_range_among_others():
    function = inlined([X, ROWS, TABLE], [X[TABLE, ROWS]])
    with pytest.raises(IndexError, match="out of range"):
        function(np.ones((3, 4, 5)), np.array([0, 9]), np.array([[0, 2], [1, -1]]))


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_softmax_is_written_as_loops(axis):
    x, weights = pt.matrix(), pt.matrix()
    outputs = [f(x, axis=axis) for f in (pt.special.softmax, pt.special.log_softmax)]
    outputs.append(pytensor.grad((outputs[0] * weights).sum(), x))
    fgraph = rewrite([x, weights], [], outputs, hoist=False).fgraph
    assert not any("oftmax" in type(node.op).__name__ for node in fgraph.apply_nodes)
    rng = np.random.default_rng(5)
    point = [rng.normal(size=(3, 4)) * 300, rng.normal(size=(3, 4))]
    expected = pytensor.function([x, weights], outputs, mode="FAST_COMPILE")(*point)
    for one, other in zip(inlined(fgraph.inputs, fgraph.outputs)(*point), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_anew")
@pytest.mark.parametrize("name", ["gaussian_process", "lkj_20"])
def test_nothing_of_these_models_goes_through_pytensors_dispatch(name):
    assert compile_model(models.build(name), fuse=False).code.by_numba == ()
