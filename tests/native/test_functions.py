"""Functions and facts of saved models as plain values: what goes into a file comes out of it."""

import json

import numpy as np
import pytest
import zoo
from numpy.testing import assert_array_equal

from nutmill.native.description import DataArray, Description, Parameter, Reported
from nutmill.native.functions import functions_of
from nutmill.native.origin import Index, misfits
from nutmill.native.processor import target
from nutmill.native.saved_facts import (
    Arrays,
    description_from_json,
    description_to_json,
    origin_from_json,
    origin_to_json,
)
from nutmill.native.saved_origin import REACHES, UNCONSTRAIN


def stored():
    compiled = zoo.compiled("regression")
    values = compiled.description.values
    return compiled, compiled.origin.saved(values, target())


@pytest.mark.parametrize(
    "array",
    [
        *(
            np.arange(6).reshape(2, 3).astype(dtype)
            for dtype in ("float64", "float32", "int8", "uint64", ">f8", "bool")
        ),
        *(np.array(2.5), np.zeros((0, 3)), np.array(["a", "üb", ""]), np.array(["2026-01-01"], "datetime64[ns]")),
        *(np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(12.0)[::3], np.array([3], "timedelta64[D]")),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays(array):
    arrays = Arrays()
    names = [arrays.put(array), arrays.put(array)]
    assert len(set(names)) == 2
    found = Arrays(arrays.parts).get(names[1])
    assert found.dtype == array.dtype and found.shape == array.shape
    assert_array_equal(found, array)


def test_objects_are_not_kept():
    """They would be pickles, which run code when they are read."""
    with pytest.raises(ValueError, match="Object arrays"):
        Arrays().put(np.array([{}], dtype=object))


def test_a_description():
    model = Description(
        parameters=(Parameter("a", "a"), Parameter("b_log__", "b", ("row", None))),
        arrays=(
            DataArray("x", np.ones((2, 1)), False, (1,)),
            DataArray(None, np.arange(3), False),
            DataArray("row", np.array(3), False),
            DataArray("y", np.arange(3.0), True),
        ),
        reported={"b": Reported(("row", None), None), "a": Reported(None, 0)},
        coords={"row": np.array(["p", "q", "r"])},
        array_dims={"y": ("row",)},
        observed=("y",),
        constant=("x",),
    )
    for data in (True, False):
        arrays = Arrays()
        facts = json.loads(json.dumps(description_to_json(model, arrays, data=data)))
        found = description_from_json(facts, Arrays(arrays.parts))
        assert found.missing == (frozenset() if data else {"x", "y"})
        assert list(found.reported.items()) == list(model.reported.items())
        for field in ("parameters", "array_dims", "observed", "constant"):
            assert getattr(found, field) == getattr(model, field)
        assert list(found.coords["row"]) == ["p", "q", "r"]
        for before, after in zip(model.arrays, found.arrays, strict=True):
            assert (after.name, after.observed, after.broadcast) == (before.name, before.observed, before.broadcast)
            assert (after.value.dtype, after.value.ndim) == (before.value.dtype, before.value.ndim)
            if before.name not in found.missing:
                assert_array_equal(after.value, before.value)


def test_an_origin():
    compiled, origin = stored()
    arrays = Arrays()
    facts = json.loads(json.dumps(origin_to_json(origin, arrays, data=True)))
    values = compiled.description.values
    found = origin_from_json(facts, origin.functions.code, Arrays(arrays.parts), values)
    assert found.indices == origin.indices == (Index("group_of_row", False),)
    assert found.functions.signatures == origin.functions.signatures
    for first, second, third in zip(
        found.start(values, 3), origin.start(values, 0), compiled.start_values(), strict=True
    ):
        assert_array_equal(first, second)
        assert_array_equal(second, third)


def test_functions():
    compiled, origin = stored()
    functions = functions_of(origin.functions.code, json.loads(json.dumps(origin.functions.facts())))
    values = compiled.description.values
    pieces = compiled.start_values()
    (bounds,) = functions(REACHES, [*pieces, *values])
    groups = next(a.value for a in compiled.description.arrays if a.name == "group_of_row")
    assert bounds.tolist() == [0, groups.max(), 3]
    assert UNCONSTRAIN in functions and "strange" not in functions


def test_one_argument_for_each_slot():
    compiled, origin = stored()
    with pytest.raises(ValueError, match="argument 2 is longer"):
        origin.functions(REACHES, [*compiled.start_values(), *compiled.description.values[:-1]])


def test_without_functions():
    functions = functions_of(b"", {})
    assert "start" not in functions and functions.facts() == {}


@pytest.mark.parametrize(
    ("bounds", "is_mask", "clauses"),
    [
        ((0, 2, 3), False, []),
        ((0, -1, 0), False, []),
        ((-3, 2, 3), False, []),
        ((0, 3, 3), False, ["g has the index 3, and what it indexes has length 3"]),
        ((-4, 0, 3), False, ["g has the index -4, and what it indexes has length 3"]),
        ((0, 0, 0), False, ["g has the index 0, and what it indexes has length 0"]),
        ((3, 3, 3), True, []),
        ((2, 2, 3), True, ["g is a mask of length 2, and what it selects from has length 3"]),
        ((4, 4, 3), True, ["g is a mask of length 4, and what it selects from has length 3"]),
    ],
)
def test_misfits(bounds, is_mask, clauses):
    index = Index("g", is_mask)
    assert misfits([index], [np.array(bounds)]) == clauses
    assert misfits([index, index], [np.array(bounds)] * 2) == clauses
