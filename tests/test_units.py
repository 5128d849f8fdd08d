"""Numbers with their units."""

import math

import pytest

from nutmill.units import duration, rate, size, time_span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2.32e-7, "232 ns"),
        (1e-6, "1 us"),
        (0.99999e-3, "1 ms"),
        (0.01472, "14.7 ms"),
        (3.0, "3 s"),
        (1234.0, "1.23e+03 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("per_s", "text"), [(0.01234, "0.0123"), (123.4, "123"), (999.9, "1k"), (8.62e6, "8.62M")])
def test_rates_have_three_digits_and_a_unit(per_s, text):
    assert rate(per_s) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 bytes"),
        (1000, "1000 bytes"),
        (1536, "1.5 KiB"),
        (1 << 20, "1 MiB"),
        (1 << 30, "1 GiB"),
        (3 << 39, "1.5 TiB"),
    ],
)
def test_sizes_have_a_unit_that_fits(n_bytes, text):
    assert size(n_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "1 s"), (59.0, "59 s"), (59.5, "1 min 0 s"), (3599.0, "59 min 59 s"), (7260.0, "2 h 1 min")],
)
def test_time_spans(seconds, expected):
    assert time_span(seconds) == expected
    assert time_span(math.nan) == time_span(math.inf) == "?"
