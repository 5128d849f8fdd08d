"""Elementwise operations in place: every rule on every dtype, layouts, broadcasting, results in place of operands."""

import numba
import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import DTYPES, assert_agrees, assert_same, everywhere, extremes, inlined, interpreted
from pytensor.scalar import basic as scalar_ops
from pytensor.scalar import math as scalar_math
from pytensor.scalar.basic import BinaryScalarOp, Composite, UnaryScalarOp, get_scalar_type, upgrade_to_float
from pytensor.tensor.elemwise import Elemwise

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")

BINARY = ("add", "sub", "mul", "true_div", "int_div", "mod", "lt", "le", "gt", "ge", "eq", "neq", "maximum", "minimum")
BINARY += ("and_", "or_", "xor", "second")
UNARY = ("identity", "neg", "abs", "sign", "sqr", "invert", "isnan", "isinf")
QUICK = [(dtype, dtype) for dtype in ("float64", "float32", "int64", "int8", "bool")] + [("int64", "float64")]
OTHERS = [("int32", "int32"), ("uint8", "uint8"), ("bool", "int64"), ("int8", "int32"), ("int8", "float32")]
OTHERS += [("float32", "int32")]
# Functions of one number, and where their values are ordinary.
FUNCTIONS = {"exp": (-3, 3), "log": (0.1, 9), "sin": (-9, 9), "cos": (-9, 9), "sqrt": (0, 9), "floor": (-9, 9)}
FUNCTIONS |= {"ceil": (-9, 9), "log1p": (-0.9, 9), "expm1": (-3, 3), "tanh": (-3, 3), "tan": (-9, 9)}
FUNCTIONS |= {"sinh": (-3, 3), "cosh": (-3, 3), "arctan": (-9, 9), "log2": (0.1, 9), "arcsin": (-1, 1)}
FUNCTIONS |= {"arccos": (-1, 1), "log10": (0.1, 9), "erf": (-3, 3), "erfc": (-3, 3), "reciprocal": (-9, -0.1)}


def applicable(x, y):
    """One scalar result of each operation that takes the two dtypes, by name."""
    made = {
        "switch": lambda: scalar_ops.switch(x, y, x),
        "clip": lambda: scalar_ops.clip(x, y, y),
        "clip below": lambda: scalar_ops.clip(x, y, x),
        "square": lambda: scalar_ops.pow(x, scalar_ops.constant(2, dtype="int8")),
        "cube": lambda: scalar_ops.pow(x, scalar_ops.constant(3, dtype="int8")),
    }
    made |= {name: lambda name=name: getattr(scalar_ops, name)(x, y) for name in BINARY}
    made |= {name: lambda name=name: getattr(scalar_ops, name)(x) for name in UNARY}
    results = {}
    for name, make in made.items():
        try:
            results[name] = make()
        except (TypeError, NotImplementedError):  # not of these dtypes, by PyTensor's own rules
            continue
    return results


def divisors(dtype):
    """Values to divide by; what integers divided by zero give depends on the compiler."""
    values = np.roll(extremes(dtype), 3)
    return values if dtype.startswith("float") else np.where(values == 0, 1, values).astype(dtype)


@pytest.mark.parametrize("dtypes", [*QUICK, *(pytest.param(d, marks=pytest.mark.slow) for d in OTHERS)], ids="-".join)
def test_every_rule_on_extremes(dtypes):
    a, b = (get_scalar_type(dtype)() for dtype in dtypes)
    results = applicable(a, b)
    if dtypes[0] == "uint8":
        del results["sign"], results["true_div"]  # PyTensor's Numba form gives 255, and single precision
    x, y = (pt.vector(dtype=dtype) for dtype in dtypes)
    at = [extremes(dtypes[0]), divisors(dtypes[1])]
    found = inlined([x, y], Elemwise(Composite([a, b], list(results.values())))(x, y, return_list=True))(*at)
    # The interpreter takes composites apart into Python's numbers; NumPy's functions are what is meant.
    tensors = [
        [x if v is a else y if v is b else pt.constant(v.data) for v in r.owner.inputs] for r in results.values()
    ]
    alone = [Elemwise(r.owner.op)(*operands) for r, operands in zip(results.values(), tensors, strict=True)]
    expected = interpreted([x, y], alone, at)
    assert len(results) >= 15
    # Numba's form of the floor of a quotient differs from NumPy's where a number is infinite: 1 // -inf is -0.0.
    defined = {"int_div": np.isfinite(at[0]) & np.isfinite(at[1])}
    found, expected = (
        [values[defined.get(name, ...)] for name, values in zip(results, each, strict=True)]
        for each in (found, expected)
    )
    assert_same(found, expected, list(results))


def test_casts_between_all_dtypes():
    sources = {dtype: get_scalar_type(dtype)() for dtype in DTYPES}
    values = {dtype: extremes(dtype) for dtype in DTYPES}
    for dtype in ("float64", "float32"):  # what does not fit is not defined
        values[dtype] = np.nan_to_num(values[dtype], nan=0.75, posinf=100.9, neginf=0.1).clip(0)
    pairs = [(a, b) for a in DTYPES for b in DTYPES if a != b]
    casts = [scalar_ops.cast(sources[a], b) for a, b in pairs]
    inputs = [pt.vector(dtype=dtype) for dtype in DTYPES]
    composite = Elemwise(Composite(list(sources.values()), casts))
    found = inlined(inputs, composite(*inputs, return_list=True))(*values.values())
    assert_same(found, [values[a].astype(b) for a, b in pairs], pairs, rtol=0)


def test_numbers_that_are_no_numbers_are_true():
    x = pt.vector()
    assert_agrees([x], [pt.cast(x, "bool"), pt.switch(x, 1.0, 2.0)], [extremes("float64")])


def test_functions_of_float64():
    number = get_scalar_type("float64")()
    rng = np.random.default_rng(1)
    functions = [getattr(scalar_ops, name, None) or getattr(scalar_math, name) for name in FUNCTIONS]
    sources = [get_scalar_type("float64")() for _ in FUNCTIONS]
    at = [np.append(rng.uniform(*bounds, 50), extremes("float64")) for bounds in FUNCTIONS.values()]
    inputs = [pt.vector() for _ in FUNCTIONS]
    whole = Elemwise(Composite(sources, [f(s) for f, s in zip(functions, sources, strict=True)]))
    found = inlined(inputs, whole(*inputs, return_list=True))(*at)
    alone = [Elemwise(f(number).owner.op)(x) for f, x in zip(functions, inputs, strict=True)]
    assert_same(found, interpreted(inputs, alone, at), list(FUNCTIONS))


def test_powers():
    x, y = pt.vector(), pt.vector()
    base, exponent = (a.ravel() for a in np.meshgrid(extremes("float64"), [*extremes("float64"), 0.5, 3.0, -1.0]))
    assert_agrees([x, y], [x**y, x ** y.astype("float32"), x**-2], [base, exponent])


@pytest.mark.parametrize("shape", [(3, 4, 2), (0, 4, 2), (3, 4, 0), (1, 1, 1)])
def test_layouts_and_broadcasting(broadcasting, shape):
    inputs, outputs, function = broadcasting
    rng = np.random.default_rng(2)
    whole, middle = rng.normal(size=shape), rng.normal(size=(1, shape[1], 1))
    last, number = rng.normal(size=shape[-1]), np.array(rng.normal())
    expected = interpreted(inputs, outputs, [whole, whole, middle, last, number])
    layouts = everywhere(whole)
    for one, other in (("rows", "gaps"), ("rows", "backwards"), ("rows", "rows")):
        columns = everywhere(middle)["gaps"]
        assert_same(function(layouts[one], layouts[other], columns, last[::-1].copy()[::-1], number), expected)


@pytest.fixture(scope="module")
def broadcasting():
    """Two arrays with three axes, with one along the middle axis, one along the last, and a number."""
    x, y = pt.tensor3(), pt.tensor3()
    middle, last, number = pt.tensor(shape=(1, None, 1), dtype="float64"), pt.vector(), pt.scalar()
    spread = last.dimshuffle("x", "x", 0)
    ones = number.dimshuffle("x", "x", "x")
    outputs = [x * y + middle, middle - spread, ones * x, ones + ones, x * x, number * number, middle + ones]
    return [x, y, middle, last, number], outputs, inlined([x, y, middle, last, number], outputs)


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 5)), ((3, 4), (2, 4)), ((3, 4), (1, 4)), ((3, 1), (3, 4)), ((0, 4), (1, 4))]
)
def test_lengths_that_differ_are_refused(sum_of_two, shapes):
    # An axis whose length turns out to be 1 is not repeated: PyTensor has said so since the graph was made.
    with pytest.raises(ValueError, match="different lengths"):
        sum_of_two(*map(np.ones, shapes))
    assert_same(sum_of_two(np.ones((2, 3)), np.ones((2, 3))), [np.full((2, 3), 2.0)])


@pytest.fixture(scope="module")
def sum_of_two():
    x, y = pt.matrix(), pt.matrix()
    return inlined([x, y], [x + y])


def in_place(op, pattern):
    """The elementwise operation with some results in place of operands."""
    return Elemwise(op, inplace_pattern=pattern)


def test_in_place_of_an_operand():
    x, y, column = pt.matrix(), pt.matrix(), pt.col()
    first, second = get_scalar_type("float64")(), get_scalar_type("float64")()
    two = Composite([first, second], [first * second, second - first])
    outputs = [in_place(scalar_ops.add, {0: 0})(x, column)]
    outputs += in_place(two, {1: 1})(outputs[0], y)  # the second result lies where the first is read from
    function = inlined([x, y, column], outputs)
    a, b, c = np.arange(6.0).reshape(2, 3), np.arange(6.0, 12.0).reshape(2, 3), np.array([[0.5], [0.25]])
    expected = [a + c, (a + c) * b, b - (a + c)]
    for layout in everywhere(a):
        x_given, y_given = everywhere(a.copy())[layout], everywhere(b.copy())[layout]
        found = function(x_given, y_given, c)
        assert_same(found, expected)
        assert_same([x_given, y_given], [expected[0], expected[2]])
        assert np.shares_memory(found[0], x_given) and np.shares_memory(found[2], y_given)
        assert not np.shares_memory(found[1], x_given) and not np.shares_memory(found[1], y_given)


def test_in_place_of_an_operand_that_is_read_twice():
    x, number = pt.vector(), pt.scalar()
    outputs = [in_place(scalar_ops.mul, {0: 0})(x, x)]
    outputs.append(in_place(scalar_ops.add, {0: 1})(number, number))
    function = inlined([x, number], outputs)
    given, counter = np.arange(50.0)[::2], np.array(4.0)
    expected = [given**2, counter * 2]
    assert_same(function(given, counter), expected)
    assert_same([given, counter], expected)


def test_composites():
    a, b, c = (get_scalar_type("float64")() for _ in range(3))
    first, second = Composite([c], [c * 2.0 + 1.0, scalar_ops.exp(c)])(a)
    nested = Elemwise(Composite([a, b], [first + b, second, scalar_ops.constant(3.0) * b]))
    x, y, counts = pt.vector(), pt.vector(), pt.lvector()
    # The same composite for another dtype is another composite.
    function = inlined([x, y, counts], [*nested(x, y), *nested(x, x), *nested(counts, y)])
    at = np.linspace(-1, 1, 5), np.arange(5.0), np.arange(5)
    pairs = [(at[0], at[1]), (at[0], at[0]), (at[2], at[1])]
    assert_same(function(*at), [v for x, y in pairs for v in (2.0 * x + 1.0 + y, np.exp(x), 3.0 * y)])


def test_loop_over_a_graph_reads_what_it_wrote():
    x, number = pt.vector(), pt.scalar()
    step, step_of_number = inlined([x], [x * 1.5 + 1.0]), inlined([number], [number * 1.5 + 1.0])

    @numba.njit
    def four_steps(x, number):
        for _ in range(4):
            x, number = step(x)[0], step_of_number(number)[0]
        return x, number

    expected = [((np.array(v) * 1.5 + 1.0) * 1.5 + 1.0) * 2.25 + 2.5 for v in ([1.0, 2.0, 3.0], 5.0)]
    assert_same(four_steps(np.array([1.0, 2.0, 3.0]), np.array(5.0)), expected)


class HalfInPython(UnaryScalarOp):
    """Half of a number, without a form in Numba."""

    def impl(self, x):
        return 0.5 * x


class WeightedInPython(BinaryScalarOp):
    """A weighted difference of two numbers, without a form in Numba."""

    def impl(self, x, y):
        return 3.0 * x - y


def test_operations_on_numbers_that_run_in_python():
    x, n = pt.vector("x"), pt.lvector("n")
    half = Elemwise(HalfInPython(upgrade_to_float, name="half"))
    weighted = Elemwise(WeightedInPython(upgrade_to_float, name="weighted"))
    with pytest.warns(UserWarning, match="object mode to run"):
        assert_agrees([x, n], [half(x), weighted(x, n), weighted(n, x)], [np.array([1.5, -2.0]), np.array([4, 1])])


def test_an_axis_that_is_declared_to_be_one_long_is():
    x, y = pt.tensor("x", dtype="float64", shape=(1, None)), pt.matrix("y")
    function = inlined([x, y], [x + y])
    assert_same(function(np.ones((1, 2)), np.ones((3, 2))), [np.full((3, 2), 2.0)])
    with pytest.raises(ValueError, match="declared shape"):
        function(np.ones((3, 2)), np.ones((3, 2)))


def test_powers_of_integers():
    """Exact, as NumPy's are, in the width of the result."""
    inputs = [pt.vector(dtype=dtype) for dtype in ("int64", "int8", "int32")]
    n, small, exponent = inputs
    outputs = [n**exponent, small**small, n ** np.int8(3), np.int8(-1) ** exponent]
    points = [np.array([3, -2, 0, 1, -1]), np.array([2, 0, 5, 1, 3], "int8"), np.array([4, 5, 0, 31, 7], "int32")]
    assert_agrees(inputs, outputs, points)
