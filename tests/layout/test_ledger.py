"""What is typical of measurements and how sure a ratio is: exact cases, and exact coverage."""

import itertools

import numpy as np
import pytest

from nutmill.layout.layout import Layout
from nutmill.layout.search.measurements import Ledger, Measurement, Timing, ratio, typical

ONE, TWO = Layout(1), Layout(2)


def measured(layout, seconds, kept=True):
    return Measurement(layout, Timing(seconds, seconds), 0.1, "scan", 0, 1.0, kept)


def test_typical_of_few():
    assert typical([3.0]) == pytest.approx(3.0)
    assert typical([1.0, 4.0]) == pytest.approx(2.0)
    assert typical([1.0, 2.0, 4.0]) == pytest.approx(2.0)


def test_typical_is_not_moved_by_a_wild_value():
    assert typical([1.0] * 7 + [1000.0]) == pytest.approx(1.0)


def test_ratio_of_exact_multiples():
    found = ratio([3.0, 6.0, 1.5, 9.0], [1.0, 2.0, 0.5, 3.0])
    assert found == pytest.approx((3.0, 3.0, 3.0))


def test_ratio_of_one_pair_claims_nothing_but_itself():
    assert ratio([2.0], [1.0]) == pytest.approx((2.0, 2.0, 2.0))


def test_ratio_turns_over():
    one, other = np.array([1.0, 1.2, 0.9, 1.1, 1.3]), np.array([1.1, 1.0, 1.0, 1.2, 1.1])
    found, turned = ratio(one, other), ratio(other, one)
    assert found.estimate == pytest.approx(1.0 / turned.estimate)
    assert (found.low, found.high) == pytest.approx((1.0 / turned.high, 1.0 / turned.low))
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize("n", [3, 4, 5, 6, 8, 10, 12])
def test_range_holds_the_truth_in_about_four_cases_of_five(n):
    """Under symmetric noise all signs are equally likely, so the share can be counted exactly."""
    sizes = np.arange(1, n + 1) / 100.0
    ranges = [ratio(np.exp(sizes * signs), np.ones(n)) for signs in itertools.product((-1.0, 1.0), repeat=n)]
    share = np.mean([low <= 1.0 <= high for _, low, high in ranges])
    assert 0.75 <= share <= 0.875


def test_ledger_keeps_all_and_counts_what_was_kept():
    ledger = Ledger([measured(ONE, 2.0), measured(ONE, 9.0, kept=False), measured(ONE, 8.0), measured(TWO, 3.0)])
    assert len(ledger.measurements) == 4
    assert ledger.seconds(ONE) == [2.0, 8.0]
    assert ledger.typical(ONE) == pytest.approx(4.0)
    assert ledger.fastest(ONE) == 2.0
    assert list(ledger) == [ONE, TWO]
    assert Layout(3) not in ledger
    assert ledger.seconds(Layout(3)) == []


def test_noise_is_read_from_repeats():
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(0.0, 0.15, (200, 2)))
    ledger = Ledger(measured(Layout(n + 1), value) for n, pair in enumerate(values) for value in pair)
    # The median of 200 absolute deviations has a relative standard error of about 0.083.
    assert abs(ledger.noise() / 0.15 - 1.0) < 3.0 * 0.083
    assert Ledger([measured(ONE, 1.0), measured(ONE, 1.0)]).noise() == 0.02
