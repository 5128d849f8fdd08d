"""Rows of data in the order of groups: each row is in one lane of one step, whatever the index; facts that lie."""

import json
from itertools import pairwise

import numpy as np
import pytest

from nutmill.native.grouping import (
    BEGINS,
    COLUMNS,
    COUNTS,
    DISTINCT,
    LANES,
    LONGEST,
    PIECES,
    PLACES,
    ROWS,
    TIMES,
    Arranged,
    RowsMisfit,
    arrange,
    arranged_of,
)

RNG = np.random.default_rng(1)
ALL = [Arranged(PIECES, 0, 0), Arranged(COUNTS, 0, 0), Arranged(BEGINS, 0, 0), Arranged(ROWS, 0, 1)]
INDICES = {
    "none": np.zeros(0, dtype="int64"),
    "one": np.array([3]),
    "alone": RNG.permutation(LANES + 3),
    "in order": np.repeat(np.arange(9), 4),
    "mixed": RNG.integers(0, 50, 700),
    "from the end": RNG.integers(-4, 4, 60),
    "few groups": RNG.integers(0, 2, 10 * LONGEST + 1).astype("int32"),
    "far apart": np.array([2**62, -(2**62), 0, 2**62]),
    "uneven": np.repeat([4, 1, 7, 2], [1, 3 * LONGEST, LONGEST + 1, 2]).astype("uint8"),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=list(INDICES))
def test_each_row_has_a_step_of_a_lane_of_its_group(index):
    pieces, counts, begins, rows = arrange(ALL, [index, np.arange(len(index))])
    assert pieces.dtype == index.dtype and len(pieces) == len(counts) == LANES * (len(begins) - 1)
    assert begins[0] == 0 and begins[-1] == len(rows)
    seen = []
    for number, (first, end) in enumerate(pairwise(begins)):
        steps = rows[first:end].reshape(-1, LANES)
        assert 1 <= len(steps) <= LONGEST
        for lane, of_lane in enumerate(steps.T):
            count = counts[number * LANES + lane]
            busy = of_lane[:count]
            assert (index[busy] == pieces[number * LANES + lane]).all() and (np.diff(busy) > 0).all()
            seen += busy.tolist()
        assert counts[number * LANES : (number + 1) * LANES].max() == len(steps)
    assert sorted(seen) == list(range(len(index)))
    # Idle are at most the lanes of one slice and what sorting by length leaves.
    assert len(rows) <= len(index) + LANES * LONGEST


def test_rows_of_another_length_are_refused():
    for n_rows in (1, 8, 10):
        with pytest.raises(RowsMisfit):
            arrange(ALL, [np.zeros(9, dtype="int64"), np.ones(n_rows)])


def test_rows_of_a_matrix_stay_together():
    index, table = RNG.integers(0, 5, 40), RNG.normal(size=(40, 3))
    rows, moved = arrange([Arranged(ROWS, 0, 0), Arranged(ROWS, 0, 1)], [index, np.column_stack([index, table])])
    np.testing.assert_array_equal(moved[:, 0], rows)
    (columns,) = arrange([Arranged(COLUMNS, 0, 1)], [index, table])
    assert columns.flags.c_contiguous
    np.testing.assert_array_equal(columns.T, moved[:, 1:])


@pytest.mark.parametrize("shape", [(0,), (40,), (20, 2)])
def test_distinct_values(shape):
    counts, index = RNG.poisson(2.0, shape), RNG.integers(0, 3, 40)
    distinct, places, times = arrange([Arranged(kind, 0, 0) for kind in (DISTINCT, PLACES, TIMES)], [counts])
    np.testing.assert_array_equal(distinct[places], counts)
    np.testing.assert_array_equal(times, [(counts == value).sum() for value in distinct])
    assert (np.diff(distinct) > 0).all()
    if shape == (40,):
        both = [Arranged(PLACES, 1, 1), Arranged(ROWS, 0, 2), Arranged(ROWS, 0, 1)]
        _, ordered, moved = arrange(both, [index, counts])
        np.testing.assert_array_equal(distinct[ordered], moved)


def test_facts_come_back_and_others_are_refused():
    whole = (np.dtype("int64"), 1)
    given = [whole, (np.dtype("float64"), 1), (np.dtype("float64"), 0)]
    assert arranged_of(json.loads(json.dumps(ALL)), [*given, *[whole] * len(ALL)]) == tuple(ALL)
    ordered = [Arranged(PLACES, 1, 1), Arranged(ROWS, 0, 3)]
    assert arranged_of(json.loads(json.dumps(ordered)), [*given, whole, whole]) == tuple(ordered)
    lies = [["other", 0, 0], [ROWS, 1, 0], [ROWS, 0, 2], [ROWS, 0, 3], [ROWS, -1, 0], [PIECES, 2, 0], [COLUMNS, 0, 0]]
    lies += [[DISTINCT, 0, 2], [PLACES, 0, 4], [TIMES, 0, -1]]
    for lie in lies:
        with pytest.raises(ValueError, match="makes no sense"):
            arranged_of([lie], [*given, whole])
