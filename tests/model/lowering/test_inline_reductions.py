"""Reductions in place: every set of axes in every layout, accumulators of another dtype, nothing to reduce, NaN."""

from itertools import combinations

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_agrees, assert_same, everywhere, extremes, inlined, interpreted
from pytensor.scalar import basic as scalar_ops
from pytensor.tensor.elemwise import CAReduce
from pytensor.tensor.math import Min, Prod, Sum

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")

SUBSETS = [axes for n in range(4) for axes in combinations(range(3), n)]


def minimum(x, axis):
    return Min(axis=axis)(x)


@pytest.fixture(scope="module")
def sums():
    """Sums of an array with three axes over each set of them, and one over all that are named from behind."""
    x = pt.tensor3()
    outputs = [pt.sum(x, axis=axes) for axes in SUBSETS] + [pt.sum(x, axis=[-1, -3])]
    return x, outputs, inlined([x], outputs)


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 1), (0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0, 0)])
def test_each_set_of_axes_in_each_layout(sums, shape):
    x, outputs, function = sums
    whole = np.random.default_rng(1).normal(size=shape)
    expected = interpreted([x], outputs, [whole])
    swapped = np.ascontiguousarray(whole.transpose(1, 0, 2)).transpose(1, 0, 2)
    for layout in (*everywhere(whole).values(), swapped):
        assert_same(function(layout), expected, rtol=1e-12)


SLOW = [pytest.param(dtype, marks=pytest.mark.slow) for dtype in ("float32", "int64")]


@pytest.mark.parametrize("dtype", ["float64", "int8", "bool", *SLOW])
def test_each_operation(dtype):
    x = pt.matrix(dtype=dtype)
    # Before rewrites, PyTensor's `min` is a maximum of what is negated.
    operations = (pt.sum, pt.prod, pt.max, pt.min, minimum) + ((pt.all, pt.any) if dtype == "bool" else ())
    outputs = [reduce(x, axis=axes) for reduce in operations for axes in ([0], [1], None)]
    if dtype in ("int64", "int8"):
        outputs += [CAReduce(op, axis=axes)(x) for op in (scalar_ops.and_, scalar_ops.or_) for axes in ([0], [1])]
    values = np.random.default_rng(2).permutation(np.tile(extremes(dtype), 3)).reshape(6, 4)
    values = np.where(np.isfinite(values), values, np.array(0.5).astype(dtype))
    points = [values], [np.ascontiguousarray(values[:, ::-1])], [values[:1, :1].copy()], [np.zeros_like(values)]
    assert_agrees([x], outputs, *points)


def test_numbers_and_arrays_without_elements():
    number, x = pt.scalar(), pt.matrix()
    outputs = [pt.sum(number), pt.max(number), pt.sum(x, axis=0), pt.prod(x, axis=1), pt.sum(x), pt.prod(x)]
    function = assert_agrees(
        [number, x], outputs, [np.array(2.5), np.empty((0, 3))], [np.array(-1.0), np.empty((2, 0))]
    )
    assert function(np.array(1.0), np.empty((0, 0)))[5] == 1.0


def test_extremes_of_nothing_are_those_of_pytensors_numba_form():
    inputs = [pt.matrix(dtype=dtype) for dtype in ("float64", "int8", "bool")]
    outputs = [reduce(x, axis=axis) for x in inputs for reduce in (pt.max, minimum) for axis in ([0], [1])]
    found = inlined(inputs, outputs)(*(np.empty((0, 2), x.type.dtype) for x in inputs))
    # NumPy refuses to take an extreme of nothing.
    ends = [(-np.inf, np.inf), (-128, 127), (False, True)]
    for x, (low, high), four in zip(inputs, ends, np.reshape(np.arange(12), (3, 4)), strict=True):
        expected = [np.full(2, low), np.empty(0), np.full(2, high), np.empty(0)]
        assert_same([found[i] for i in four], [value.astype(x.type.dtype) for value in expected])


def test_nan_comes_through_as_in_numpy():
    # So it does in the Numba form of PyTensor 3; that of PyTensor 2 passes over NaN.
    x, single = pt.matrix(), pt.matrix(dtype="float32")
    outputs = [reduce(x, axis=axis) for reduce in (pt.max, pt.sum, minimum) for axis in ([0], [1], None)]
    outputs += [pt.max(single, axis=1), minimum(single, [0])]
    values = np.array([[np.nan, 1.0, 2.0], [2.0, np.nan, 1.0], [-np.inf, np.inf, 1.0], [3.0, 0.0, -np.inf]])
    assert_agrees([x, single], outputs, [values, values.astype("float32")])


@pytest.mark.parametrize("kind", [Sum, pytest.param(Prod, marks=pytest.mark.slow)])
def test_accumulator_of_another_dtype(kind):
    counts, single, flags = pt.matrix(dtype="int8"), pt.matrix(dtype="float32"), pt.matrix(dtype="bool")
    outputs = []
    for axis in (None, 0, 1):
        outputs.append(kind(axis=axis, dtype="int8", acc_dtype="int8")(counts))  # wraps around
        outputs.append(kind(axis=axis, dtype="int64", acc_dtype="int64")(counts))
        outputs.append(kind(axis=axis, dtype="float64", acc_dtype="int64")(counts))
        outputs.append(kind(axis=axis, dtype="float32", acc_dtype="float64")(single))
        outputs.append(kind(axis=axis, dtype="float64", acc_dtype="float64")(single))
        outputs.append(kind(axis=axis, dtype="int64", acc_dtype="int64")(flags))
    rng = np.random.default_rng(3)
    at = [rng.integers(-100, 100, (9, 4)).astype("int8"), rng.normal(size=(9, 4)).astype("float32"), np.eye(9, 4) == 0]
    assert_agrees([counts, single, flags], outputs, at)


def test_accumulator_is_wide_enough():
    single = pt.vector(dtype="float32")
    function = inlined([single], [Sum(dtype="float32", acc_dtype="float64")(single)])
    values = np.full(1 << 16, 0.1, "float32")
    np.testing.assert_array_max_ulp(function(values)[0], np.float32(values.astype(float).sum()), maxulp=1)


def test_operations_that_are_left_to_numba():
    x, counts = pt.matrix(), pt.matrix(dtype="uint8")
    outputs = [pt.prod(x, axis=0, no_zeros_in_input=True), pt.sum(counts, axis=1), pt.max(counts, axis=0)]
    at = [np.arange(1.0, 7.0).reshape(2, 3), np.arange(250, 256, dtype="uint8").reshape(2, 3)]
    assert_agrees([x, counts], outputs, at)
