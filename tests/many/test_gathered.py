"""Rows become arrays: whatever their lengths, kinds and gaps, and however they come."""

import numpy as np
import pytest

from nutmill.many import gathered
from nutmill.many.gathered import Gathered, joined

RNG = np.random.default_rng(6)


def rows(count):
    """Make rows of every kind: ragged ones, some without a group, text, whole numbers that become real ones."""
    for number in range(count):
        fits = {"failed": np.array(number % 3 == 2), "problem": np.array("bad" * (number % 5))}
        row = {"fits": fits}
        if number % 3 != 2:
            row["kept"] = {"x": RNG.normal(size=(2, number % 4)), "y": np.array(number if number < 9 else number + 0.5)}
        yield row


def plainly(made):
    """Stack rows in the plainest way."""
    n, longest = len(made), max(row["kept"]["x"].shape[1] for row in made if "kept" in row)
    x, y = np.full((n, 2, longest), np.nan), np.full(n, np.nan)
    for number, row in enumerate(made):
        if "kept" in row:
            x[number, :, : row["kept"]["x"].shape[1]] = row["kept"]["x"]
            y[number] = row["kept"]["y"]
    return x, y


@pytest.mark.parametrize("stacked", [1, 4, 512])
@pytest.mark.parametrize("many", [0, 7])
def test_rows_are_stacked(monkeypatch, stacked, many):
    monkeypatch.setattr(gathered, "_STACKED", stacked)
    made, all_rows = list(rows(23)), Gathered()
    if many:  # as from a file
        all_rows.add_many(range(many), joined(made[:many]))
    for number in range(many, 23):
        all_rows.add(number, made[number])
    groups = all_rows.groups()
    assert all_rows.keys == list(range(23))
    x, y = plainly(made)
    np.testing.assert_array_equal(groups["kept"]["x"], x)
    wanted = np.where(np.isnan(groups["kept"]["y"]), np.nan, groups["kept"]["y"])
    np.testing.assert_array_equal(wanted[~np.isnan(y)], y[~np.isnan(y)])
    assert groups["fits"]["problem"].tolist() == ["bad" * (number % 5) for number in range(23)]
    assert groups["fits"]["failed"].tolist() == [number % 3 == 2 for number in range(23)]


def test_the_last_rows_may_lack_a_group():
    all_rows = Gathered()
    all_rows.add("a", {"fits": {"failed": np.array(False)}, "kept": {"x": np.array(1.0)}})
    all_rows.add("b", {"fits": {"failed": np.array(True)}})
    all_rows._stack()
    all_rows.add("c", {"fits": {"failed": np.array(True)}})
    groups = all_rows.groups()
    np.testing.assert_array_equal(groups["kept"]["x"], [1.0, np.nan, np.nan])
    assert groups["fits"]["failed"].tolist() == [False, True, True]
