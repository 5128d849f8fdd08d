"""Folds of cross-validation: every way to say them, and every way in which they may be wrong."""

import numpy as np
import pandas as pd
import pytest

from nutmill import ArgumentError, leave_future_out
from nutmill.many.folds import folds_of


def held_out(given, n, seed=1):
    return [fold.held_out.tolist() for fold in folds_of(given, n, seed)]


def test_a_number_deals_out():
    found = folds_of(3, 11, 5)
    assert sorted(len(fold.held_out) for fold in found) == [3, 4, 4]
    assert sorted(np.concatenate([fold.held_out for fold in found]).tolist()) == list(range(11))
    for fold in found:
        assert np.flatnonzero(~fold.is_fitted).tolist() == fold.held_out.tolist()
    assert held_out(3, 11, 5) != held_out(3, 11, 6)
    assert held_out(11, 11) == [[number] for number in range(11)]


@pytest.mark.parametrize(
    "labels",
    [
        list("baab"),
        np.array([2.5, 1, 1, 2.5]),
        pd.Series(["y", "x", "x", "y"]),
        np.array([[7, 3], [3, 7]]),
        iter("baab"),
    ],
    ids=["list", "array", "series", "table", "stream"],
)
def test_labels_leave_groups_out(labels):
    assert held_out(labels, 4) == [[1, 2], [0, 3]]


def test_pairs_may_be_numbers_or_truth_values():
    pairs = [([0, 1], [2]), (np.array([True, True, True, False]), [3]), ((), [1, 0, 1])]
    found = folds_of(iter(pairs), 4, 1)
    assert [fold.held_out.tolist() for fold in found] == [[2], [3], [0, 1]]
    assert [np.flatnonzero(fold.is_fitted).tolist() for fold in found] == [[0, 1], [0, 1, 2], []]


def test_the_future_is_left_out():
    assert [(a.tolist(), b.tolist()) for a, b in leave_future_out(5, 3)] == [([0, 1, 2], [3]), ([0, 1, 2, 3], [4])]
    found = folds_of(leave_future_out(7, 2, ahead=2, every=3), 7, 1)
    assert [fold.held_out.tolist() for fold in found] == [[2, 3], [5, 6]]
    assert [np.flatnonzero(fold.is_fitted).tolist() for fold in found] == [[0, 1], [0, 1, 2, 3, 4]]


WRONG = {
    "one": (1, "from 2 to 4"),
    "more": (5, "from 2 to 4"),
    "truth": (True, "must be a number"),
    "text": ("abcd", "must be a number"),
    "none": (None, "must be a number"),
    "no-folds": ([], "no folds"),
    "few-labels": ([1, 2, 1], "3 labels for 4 observations"),
    "one-label": ([1, 1, 1, 1], "one label for all"),
    "nan": (np.array([1, np.nan, 2, 2]), "no label for observation 1"),
    "no-pair": ([([0], [1], [2])], "Fold 0 must be a pair"),
    "outside": ([([0], [4])], "numbers from 0 to 3"),
    "short-mask": ([([0], [True, False])], "truth values"),
    "floats": ([([0.5], [1])], "Fold 0 must be a pair"),
    "both": ([([0, 1], [2]), ([0, 1], [1])], "Fold 1 fits observation 1"),
    "nothing": ([([0, 1], [])], "Fold 0 predicts nothing"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_fold_is_refused(wrong):
    given, said = WRONG[wrong]
    with pytest.raises(ArgumentError, match=said):
        folds_of(given, 4, 1)


@pytest.mark.parametrize(
    ("arguments", "said"), [((4, 4), "nothing comes after"), ((4, 2, 0), "ahead must be"), ((4, -1), "first must be")]
)
def test_what_is_no_future_is_refused(arguments, said):
    with pytest.raises(ArgumentError, match=said):
        leave_future_out(*arguments)
