"""Arithmetic on lengths in plain values: against NumPy for every operation and dtype, and what makes no sense."""

import json

import numpy as np
import pytest

from nutmill.native.lengths import WHOLE, CheckFailed, Lengths, LengthStep, lengths_of

ARRAYS = [np.zeros((3, 0)), np.array(7, dtype="int8"), np.array(2.5)]
KINDS = [(array.dtype, array.ndim) for array in ARRAYS]
NUMPY = {
    "add": np.add,
    "mul": np.multiply,
    "sub": np.subtract,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "floor_divide": np.floor_divide,
    "remainder": np.remainder,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "complement": np.invert,
}


def again(lengths: Lengths) -> Lengths:
    """Through JSON, as in a file."""
    return lengths_of(json.loads(json.dumps(lengths.facts())), KINDS)


def of_constants(op: str, dtype: str, values: list, dtypes: list) -> np.ndarray:
    """Evaluate one operation of constants."""
    constants = [LengthStep("constant", each, (int(value),)) for value, each in zip(values, dtypes, strict=True)]
    steps = [*constants, LengthStep(op, dtype, tuple(range(len(values))))]
    (found,) = again(Lengths(tuple(steps), (len(values),))).evaluate([])
    return found


def samples(dtype: str) -> np.ndarray:
    """Small numbers, and those at the ends of a dtype."""
    ends = np.iinfo(dtype)
    return np.unique(np.array([ends.min, ends.max, ends.max - 1, 0, 1, 2, 3, 100], dtype=dtype))


@pytest.mark.parametrize("dtype", WHOLE[1:])
@pytest.mark.parametrize("op", NUMPY)
def test_operations_have_the_bits_of_numpy(op, dtype):
    function = NUMPY[op]
    pairs = [(a, b) for a in samples(dtype) for b in samples(dtype)][: None if function.nin == 2 else 64 : function.nin]
    for operands in pairs:
        operands = operands[: function.nin]
        with np.errstate(all="ignore"):
            expected = function(*operands)
        found = of_constants(op, expected.dtype.name, operands, [dtype] * function.nin)
        assert found.dtype == expected.dtype and found == expected, (op, operands)


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("source", WHOLE[1:])
def test_casts(source, dtype):
    for value in samples(source):
        found = of_constants("same", dtype, [value], [source])
        assert found.dtype == dtype and found == value.astype(dtype)


def test_fractions_are_rounded_once():
    large = 2**62 + 2**8 + 1
    steps = (
        LengthStep("constant", "int64", (large,)),
        LengthStep("same", "float64", (0,)),
        LengthStep("neg", "float64", (1,)),
    )
    rounded, negative = again(Lengths(steps, (1, 2))).evaluate([])
    assert rounded == np.int64(large).astype(float) and negative == -rounded and rounded.dtype == "float64"


def test_lengths_values_and_branches():
    steps = (
        LengthStep("length", "int64", (0, 0)),
        LengthStep("length", "int64", (0, 1)),
        LengthStep("value", "int8", (1,)),
        LengthStep("lt", "bool", (0, 1)),
        LengthStep("not", "bool", (3,)),
        LengthStep("switch", "int64", (4, 2, 1)),
        LengthStep("check", "int64", (5, 4)),
    )
    found = again(Lengths(steps, (6, 3, 1, 2))).evaluate(ARRAYS)
    assert [(int(value), value.dtype.name) for value in found] == [(7, "int64"), (0, "bool"), (0, "int64"), (7, "int8")]


def test_a_check_that_fails():
    steps = (
        LengthStep("length", "int64", (0, 1)),
        LengthStep("constant", "bool", (0,)),
        LengthStep("check", "int64", (0, 1)),
    )
    with pytest.raises(CheckFailed):
        again(Lengths(steps, (2,))).evaluate(ARRAYS)


@pytest.mark.parametrize(
    "steps",
    [
        [["length", "int64", [0]]],
        [["length", "int64", [0, 2]]],
        [["length", "int64", [0, -1]]],
        [["length", "int64", [3, 0]]],
        [["length", "float64", [0, 0]]],
        [["value", "int64", [1]]],  # which is int8
        [["value", "float64", [2]]],
        [["value", "int8", [0]]],
        [["value", "int8", [True]]],
        [["constant", "int64", [1.5]]],
        [["constant", "int64", ["1"]]],
        [["constant", "float64", [1]]],
        [["constant", "int64", []]],
        [["constant", "int65", [1]]],
        [["constant", "int64", [1]], ["sub", "int64", [0]]],
        [["constant", "int64", [1]], ["add", "int64", []]],
        [["constant", "int64", [1]], ["add", "int64", [0, 1]]],
        [["constant", "int64", [1]], ["add", "int64", [0, -1]]],
        [["constant", "int64", [1]], ["__import__", "int64", [0]]],
        [["constant", "int64", [1]], ["same", "float64", [0]], ["same", "int64", [1]]],
        [["constant", "int64", [1]], ["same", "float64", [0]], ["add", "float64", [1, 1]]],
        [["constant", "int64", [1], 0]],
        [["constant", "int64"]],
        [17],
        None,
    ],
    ids=str,
)
def test_steps_that_make_no_sense(steps):
    with pytest.raises((ValueError, TypeError)):
        lengths_of({"steps": steps, "results": []}, KINDS)


@pytest.mark.parametrize("results", [[1], [-1], [True], ["0"], None])
def test_results_that_make_no_sense(results):
    with pytest.raises((ValueError, TypeError)):
        lengths_of({"steps": [["constant", "int64", [1]]], "results": results}, KINDS)
