"""New arrays in place: values repeated over a shape, numbers side by side, arrays end to end along each axis."""

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_agrees, assert_same, everywhere, inlined
from pytensor.tensor.basic import AllocEmpty, MakeVector

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")


def joined(axis, *arrays):
    return pt.join(axis, *arrays)


def test_values_repeated_over_a_shape():
    n, m, number, line, column, flag = pt.lscalar(), pt.bscalar(), pt.scalar(), pt.vector(), pt.col(), pt.bscalar()
    whole, count = pt.matrix(), pt.lscalar()
    outputs = [pt.alloc(number, n, m), pt.alloc(line, n, m), pt.alloc(column, n, m), pt.alloc(whole, 2, n, m)]
    outputs += [pt.alloc(flag, n), pt.alloc(count, m, 2, n), pt.alloc(number), pt.alloc(np.float64(1.5), n)]
    outputs += [pt.alloc(column[:, 0], n), pt.alloc(column, n, 1), pt.alloc(column, 2, n, m), pt.alloc(line[:1], 1, 1)]
    inputs = [n, m, number, line, column, flag, whole, count]
    points = []
    for a, b in [(2, 3), (1, 1), (0, 3), (2, 0)]:
        lengths = [np.array(a), np.array(b, "int8")]
        rest = [np.array(2.5), np.arange(b) * 1.0, np.arange(a)[:, None] * 1.0, np.array(7, "int8")]
        points.append([*lengths, *rest, np.arange(float(a * b)).reshape(a, b), np.array(-3)])
    function = inlined(inputs, outputs[:-1])
    for point in points:
        for whole_given in everywhere(point[6]).values():
            point[6] = whole_given
            a, b = point[0], point[1]
            expected = [np.full((a, b), 2.5), np.tile(point[3], (a, 1)), np.tile(point[4], (1, b))]
            expected += [np.tile(whole_given, (2, 1, 1)), np.full(a, 7, "int8"), np.full((b, 2, a), -3)]
            expected += [np.array(2.5), np.full(a, 1.5), point[4][:, 0], point[4], np.tile(point[4], (2, 1, b))]
            assert_same(function(*point), expected)


def test_shapes_that_a_value_does_not_have():
    line, n, m = pt.vector(), pt.lscalar(), pt.lscalar()
    function = inlined([line, n, m], [pt.alloc(line, n, m)])
    # A length that turns out to be 1 is not repeated, as in PyTensor.
    for length in (2, 1, 0):
        with pytest.raises(ValueError, match="repeated"):
            function(np.ones(length), np.array(2), np.array(3))
    for shape in [(-1, 3), (2, -3), (-1, -3)]:
        with pytest.raises(ValueError, match="negative"):
            function(np.ones(3), *map(np.array, shape))


def test_shapes_that_memory_does_not_have():
    number, n, m = pt.scalar(), pt.lscalar(), pt.lscalar()
    filled, empty = inlined([number, n, m], [pt.alloc(number, n, m)]), inlined([n, m], [AllocEmpty("int8")(n, m)])
    # The last of these has 2 ** 64 bytes, which is zero to a word.
    for shape in [(2**20, 2**40), (2**62, 2), (2**32, 2**32)]:
        with pytest.raises(MemoryError, match=r"not enough memory|too large"):
            filled(np.array(1.0), *map(np.array, shape))
        with pytest.raises(MemoryError, match=r"not enough memory|too large"):
            empty(*map(np.array, shape))


def test_arrays_without_values():
    n = pt.lscalar()
    outputs = [AllocEmpty(dtype)(n, 2) for dtype in ("float64", "int8", "bool")] + [AllocEmpty("int64")()]
    function = inlined([n], outputs)
    for length in (0, 3):
        found = function(np.array(length))
        assert [array.shape for array in found] == [(length, 2)] * 3 + [()]
        assert [str(array.dtype) for array in found] == ["float64", "int8", "bool", "int64"]
        found[0][:] = 1.0
    with pytest.raises(ValueError, match="negative"):
        function(np.array(-1))


def test_numbers_side_by_side():
    x, count, flag = pt.scalar(), pt.bscalar(), pt.scalar(dtype="bool")
    outputs = [MakeVector("float64")(x, count, 2.5, x), MakeVector("int64")(count, 7, flag), MakeVector("bool")(flag)]
    outputs.append(MakeVector("int8")(count))
    assert_agrees([x, count, flag], outputs, [np.array(0.5), np.array(-3, "int8"), np.array(True)])


@pytest.fixture(scope="module")
def joins():
    """Three arrays end to end along each axis, with others among them."""
    x, y = pt.tensor3(), pt.tensor3(dtype="int8")
    single = pt.tensor(shape=(1, None, None), dtype="float64")
    outputs = [joined(axis, x, y, x[::-1]) for axis in (0, 1, 2, -1, -3)]
    outputs += [joined(0, x, single, single), joined(1, x[:, :0], x)]
    return inlined([x, y, single], outputs)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 1), (2, 0, 4), (0, 3, 4)])
def test_arrays_end_to_end(joins, shape):
    x, y = np.random.default_rng(1).normal(size=shape), np.random.default_rng(2).integers(-9, 9, shape).astype("int8")
    single = np.full((1, *shape[1:]), 0.5)
    expected = [np.concatenate([x, y, x[::-1]], axis=axis) for axis in (0, 1, 2, -1, -3)]
    expected += [np.concatenate([x, single, single]), x]
    for layout in everywhere(x).values():
        found = joins(layout, y, single)
        assert_same(found, expected)
        assert not any(np.shares_memory(array, layout) for array in found)


def test_arrays_end_to_end_that_do_not_fit():
    x, y, line = pt.matrix(), pt.matrix(), pt.vector()
    function = inlined([x, y, line], [joined(0, x, y), joined(0, line, line, line[1:])])
    assert_same(function(np.ones((1, 2)), np.ones((3, 2)), np.arange(2.0))[1:], [np.array([0.0, 1.0, 0.0, 1.0, 1.0])])
    for shape in [(3, 3), (3, 1), (3, 0)]:
        with pytest.raises(ValueError, match="does not fit"):
            function(np.ones((1, 2)), np.ones(shape), np.arange(2.0))
