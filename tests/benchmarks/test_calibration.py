"""The calibration page: its exact test of ranks, and that it names the experiment whose draws are wrong."""

import itertools
import json

import numpy as np
import pytest

from benchmarks import report
from benchmarks.calibration import command
from benchmarks.calibration.tables import page, sections, uneven
from nutmill.many.rank_bands import bands, p_value

RNG = np.random.default_rng(20261129)


def rows(ranks) -> list[dict]:
    counts = {"rate": np.bincount(ranks, minlength=65).tolist(), "share": np.full(65, 4).tolist()}
    return [{"cell": "calibration", "model": "counts", "measurement": {"counts": counts, "n_slow": 1}}]


def test_p_values_are_those_of_counting():
    """All data sets of five ranks from 0 to 2: as many as say so have a p-value as small."""
    ways = np.array([np.bincount(ranks, minlength=3) for ranks in itertools.product(range(3), repeat=5)])
    found = np.array([p_value(counts) for counts in ways])
    for p in found:
        assert np.mean(found <= p + 1e-9) == pytest.approx(p, abs=1e-12)
    assert p_value(np.array([5, 0, 0])) == pytest.approx(2 / 3**5) == p_value(np.array([0, 0, 5]))


def test_bands_hold_all_counts_at_once():
    within = bands(200, 16, 0.9)
    counts = RNG.multinomial(200, np.full(17, 1 / 17), 2000).cumsum(axis=1)[:, :-1]
    inside = ((counts >= within.low) & (counts <= within.high)).all(axis=1).mean()
    assert 0.9 - 4 * np.sqrt(0.09 / 2000) < inside < 0.94


def test_uniform_ranks_are_even():
    assert uneven(rows(RNG.integers(0, 65, 400))) == []


@pytest.mark.parametrize("shift", [-8, 8])
def test_ranks_that_lean_to_one_side_are_reported(shift):
    assert uneven(rows(np.clip(RNG.integers(0, 65, 400) + shift, 0, 64))) == ["counts: rate"]


def test_ranks_of_draws_that_are_too_narrow_are_reported():
    at_the_ends = np.where(RNG.uniform(size=400) < 0.2, RNG.choice([0, 64], 400), RNG.integers(0, 65, 400))
    assert uneven(rows(at_the_ends)) == ["counts: rate"]


def test_the_command(tmp_path):
    path = command.main(["--experiments", "beta_binomial", "--data-sets", "20", "--out", str(tmp_path)])
    made = json.loads(path.read_text())
    (row,) = made["rows"]
    counts = row["measurement"]["counts"]
    assert {name: sum(each) for name, each in counts.items()} == {"alpha": 20, "beta": 20, "log density": 20}
    report.main([str(path)])
    assert "| beta_binomial | 3 |" in path.with_suffix(".md").read_text()
    assert sections(made)[0].endswith("None has a p-value below 0.01 / 3.")
    text = path.with_suffix(".html").read_text()
    assert text == page(made) and text.count("<svg") == 3 and text.count("<polyline") == 3
