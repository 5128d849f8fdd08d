"""Elements at vectors of integers, in place: taken, set and added to, in every layout; indices out of range."""

import numpy as np
import pytensor.tensor as pt
import pytest
from model.inlining import assert_agrees, assert_same, everywhere, inlined

from nutmill.model.lowering.inline.rows.indexed_rows import _CROWDED

pytestmark = pytest.mark.usefixtures("optimised_on_one_line")

OUT_OF_RANGE = "out of range"


def test_rows_and_elements_are_taken_as_numpy_takes_them():
    x, i, j, cube = pt.matrix(), pt.lvector(), pt.vector(dtype="int8"), pt.tensor3()
    outputs = [x[i], x[i, j], cube[i], cube[i, j], x[i, 0], x[:, i]]
    points = []
    for rows in everywhere(np.arange(20.0).reshape(5, 4), columns=True).values():
        index = [np.array([0, 4, -1, -5, 2, 2]), np.array([0, -4, 3, 1, -1, 2], "int8")]
        points.append([rows, *index, np.arange(60.0).reshape(5, 4, 3)])
    with np.errstate(all="ignore"):
        assert_agrees([x, i, j, cube], outputs[:4], *points, rtol=0)
    one = [np.arange(20.0).reshape(5, 4), np.array([0, -1]), np.array([0, 0], "int8"), np.zeros((5, 4, 3))]
    assert_agrees([x, i, j, cube], [x[i % 4, 0], x[:, i % 4]], one, rtol=0)


def test_values_are_set_and_added_as_numpy_does():
    x, i, j = pt.matrix(), pt.lvector(), pt.lvector()
    values, row, one = pt.vector(), pt.matrix(), pt.dscalar()
    outputs = [
        pt.set_subtensor(x[i], row),
        pt.inc_subtensor(x[i], row),
        pt.inc_subtensor(x[i], one),
        pt.inc_subtensor(x[i, j], values),
        pt.set_subtensor(x[i, j], one),
    ]
    rng = np.random.default_rng(1)
    for layout in everywhere(rng.normal(size=(5, 4)), columns=True).values():
        before = layout.copy()
        point = [layout, np.array([0, 4, 2]), np.array([1, -1, 0]), rng.normal(size=3), rng.normal(size=(3, 4)), 2.5]
        point = [np.asarray(value) for value in point]
        assert_agrees([x, i, j, values, row, one], outputs, point, rtol=1e-14)
        np.testing.assert_array_equal(layout, before)


@pytest.mark.parametrize("n", [0, 1, 3, 3 * _CROWDED, 3 * _CROWDED + 1, 1000])
def test_many_values_for_few_places_are_all_added(n):
    """Whole numbers, so that the order of a sum does not show."""
    x, i, values = pt.vector(), pt.lvector(), pt.vector()
    rng = np.random.default_rng(2)
    point = [np.array([1.0, 2.0, 3.0]), rng.integers(-3, 3, n), rng.integers(-9, 9, n).astype(float)]
    assert_agrees([x, i, values], [pt.inc_subtensor(x[i], values)], point, rtol=0)
    assert_agrees([x, i], [pt.inc_subtensor(x[i], 2.0)], point[:2], rtol=0)


def test_rows_counted_from_the_end_by_any_integers_in_any_layout():
    """Integers of 64 bits are looked through first, and copied if one of them counts from the end."""
    x, values, i, table = pt.vector(), pt.vector(), pt.lvector(), pt.lmatrix()
    outputs = [x[i], pt.exp(x[i]).sum(), pt.inc_subtensor(x[i], values), x[table], pt.set_subtensor(x[i], 1.5)]
    rng = np.random.default_rng(3)
    points = []
    for lowest in (0, -7):
        for rows in everywhere(rng.integers(lowest, 7, (6, 5)), columns=True).values():
            points.append([rng.normal(size=7), rng.normal(size=6), rows[:, 1], rows])
    assert_agrees([x, values, i, table], outputs, *points, rtol=1e-14)


@pytest.mark.parametrize("bad", [[3], [-4], [0, 1, 2**62], [-(2**63), 0]])
def test_indices_out_of_range_are_refused(bad):
    x, i, values = pt.vector(), pt.lvector(), pt.vector()
    array, index = np.arange(3.0), np.array(bad)
    with pytest.raises(IndexError, match=OUT_OF_RANGE):
        inlined([x, i], [x[i]])(array, index)
    with pytest.raises(IndexError, match=OUT_OF_RANGE):
        inlined([x, i, values], [pt.inc_subtensor(x[i], values)])(array, index, np.ones(len(bad)))
    with pytest.raises(IndexError, match=OUT_OF_RANGE):
        inlined([x, i], [x[i]])(array[:0], np.array([0]))
    np.testing.assert_array_equal(array, np.arange(3.0))


def test_lengths_that_do_not_fit_are_refused():
    x, i, j, values = pt.matrix(), pt.lvector(), pt.lvector(), pt.vector()
    array = np.zeros((3, 3))
    with pytest.raises(IndexError, match="different lengths"):
        inlined([x, i, j], [x[i, j]])(array, np.array([0, 1]), np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="does not fit the rows"):
        inlined([x, i, j, values], [pt.inc_subtensor(x[i, j], values)])(array, np.array([0]), np.array([0]), np.ones(2))


def test_nothing_is_taken_of_nothing():
    x, i = pt.vector(), pt.lvector()
    empty = np.array([], dtype=int)
    assert_same(inlined([x, i], [x[i]])(np.arange(3.0), empty), [np.zeros(0)])
    assert_same(inlined([x, i], [x[i]])(np.zeros(0), empty), [np.zeros(0)])
