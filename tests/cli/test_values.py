"""Durations, chain ids and targets as the user types them."""

import pytest

from nutmill.cli.options import read_chain_ids, read_seconds, read_targets
from nutmill.units import ranges


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90.0), ("0.5", 0.5), ("45s", 45.0), ("1h30m", 5400.0), ("2D", 172800.0), (" 1d2h3m4.5s ", 93784.5)],
)
def test_durations_are_read_as_seconds(text, expected):
    assert read_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0h", "h", "1h1h", "30m1h", "1 h", "-5s", "1w", "nan", "inf", "1:30:00"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="1h30m"):
        read_seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", [5]), ("4-7", [4, 5, 6, 7]), ("0-1,8-9,15", [0, 1, 8, 9, 15]), ("3-3", [3]), (" 0 , 2-3 ", [0, 2, 3])],
)
def test_chain_ids_are_read_from_ranges(text, expected):
    assert read_chain_ids(text) == expected
    assert read_chain_ids(ranges(expected)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "4-7"),
        ("a-b", "4-7"),
        ("1,,2", "4-7"),
        ("-3", "4-7"),
        ("1.5", "4-7"),
        ("7-4", "ends before it begins"),
        ("0-3,2-5", "none comes twice"),
        ("4,0", "increase"),
        ("0-99999999", "more chains"),
    ],
)
def test_what_are_no_chain_ids_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        read_chain_ids(text)


@pytest.mark.parametrize(("ids", "text"), [([], ""), ([3], "3"), ([0, 1, 2, 3], "0-3"), ([0, 1, 4, 6, 7], "0-1,4,6-7")])
def test_numbers_are_written_as_ranges(ids, text):
    assert ranges(ids) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ess=400,rhat=1.01", {"ess": 400.0, "rhat": 1.01}), ("rhat=1.05", {"rhat": 1.05}), (" ess = 1e3 ", {"ess": 1e3})],
)
def test_targets_are_read_by_name(text, expected):
    assert read_targets(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ess=400,rhat=1.01"),
        ("ess", "ess=400,rhat=1.01"),
        ("neff=0.1", "ess=400,rhat=1.01"),
        ("ess=1,ess=2", "each once"),
        ("ess=many", "ess is a number above 0"),
        ("ess=0", "ess is a number above 0"),
        ("rhat=1", "rhat is a number above 1"),
        ("rhat=nan", "rhat is a number above 1"),
        ("ess=inf", "ess is a number"),
    ],
)
def test_what_is_no_target_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        read_targets(text)
