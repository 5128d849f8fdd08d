"""Views in place: axes in another order, added and dropped, asserted shapes, lengths, numbers and arrays of one."""

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_agrees, assert_same, everywhere, inlined, interpreted
from pytensor.scalar.basic import get_scalar_type
from pytensor.tensor.basic import scalar_from_tensor, tensor_from_scalar
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.shape import Shape_i, SpecifyShape, specify_shape

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")


def reordered(x, *order):
    return DimShuffle(input_ndim=x.type.ndim, new_order=order)(x)


def test_axes_in_another_order():
    x, line, number = pt.tensor3(), pt.vector(), pt.scalar()
    thin = pt.tensor(shape=(1, None, 1), dtype="float64")
    orders = [(2, 1, 0), (1, 0, 2), (0, "x", 2, 1), ("x", 0, 1, 2), (0, 1, 2, "x")]
    views = [reordered(x, *order) for order in orders]
    views += [reordered(line, "x", 0), reordered(line, 0, "x"), reordered(number), reordered(number, "x", "x")]
    views += [reordered(thin, 1), reordered(thin, 2, 1), reordered(thin, "x", 1, 0), reordered(x, 2, 0, 1)]
    views += [reordered(views[6], 1, 0), reordered(views[5], 1)]
    # What lies where is read from the strides, or, for rows, from the lengths: sums would show a wrong order.
    outputs = [*views, views[0] + 1.0, views[2] * 2.0, pt.sum(views[4], axis=0), views[5] + views[6], views[13] * 3.0]
    function = inlined([x, line, number, thin], outputs)
    for shape in [(2, 3, 4), (1, 3, 1), (2, 0, 4)]:
        whole = np.random.default_rng(1).normal(size=shape)
        layouts = everywhere(whole, columns=shape == (2, 3, 4))
        for layout in layouts.values():
            point = [layout, np.arange(3.0), np.array(2.5), whole[:1, :, :1].copy()]
            found = function(*point)
            assert_same(found, interpreted([x, line, number, thin], outputs, point))
            if whole.size:
                assert all(np.shares_memory(view, layout) for view in found[:5])


def test_a_dropped_axis_has_length_one():
    thin = pt.tensor(shape=(None, 1), dtype="float64")
    function = inlined([thin], [reordered(thin, 0)])
    with pytest.raises(ValueError, match="longer"):
        function(np.ones((2, 3)))


def test_asserted_shapes():
    x, n = pt.matrix(), pt.lscalar()
    partial, whole = specify_shape(x, (None, 3)), SpecifyShape()(x, n, 3)
    function = assert_agrees([x, n], [partial, whole, partial * 2.0], [np.ones((2, 3)), np.array(2)])
    given = np.asfortranarray(np.ones((2, 3)))
    found = function(given, np.array(2))
    assert np.shares_memory(found[0], given) and found[1].flags.f_contiguous
    for shape, length in [((2, 4), 2), ((2, 0), 2), ((3, 3), 2), ((3, 3), -3)]:
        with pytest.raises(AssertionError, match="shape that it should have"):
            function(np.ones(shape), np.array(length))


def test_lengths():
    x, flags = pt.tensor3(), pt.vector(dtype="bool")
    outputs = [Shape_i(i)(x) for i in range(3)] + [Shape_i(0)(flags), Shape_i(1)(x.T) + 1]
    point = [np.ones((2, 0, 3))[:, ::-1], np.zeros(4, bool)]
    assert_agrees([x, flags], outputs, point)


@pytest.mark.parametrize("dtype", ["float64", "int8", "bool"])
def test_numbers_and_arrays_of_one(dtype):
    array, number = pt.scalar(dtype=dtype), get_scalar_type(dtype)()
    as_number, as_array = scalar_from_tensor(array), tensor_from_scalar(number)
    value = np.array(1, dtype)
    function = inlined([array, number], [as_number, as_array, tensor_from_scalar(as_number)])
    found = function(value, value[()])
    assert found[0] == value[()]
    assert_same(found[1:], [value, value])
    assert isinstance(found[1], np.ndarray) and not np.shares_memory(found[2], value)
