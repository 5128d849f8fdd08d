"""The validation page: what it measures, and that it says so when draws are wrong."""

import json

import numpy as np
import pytest

from benchmarks import report
from benchmarks.validation import command
from benchmarks.validation.judging import misses, moments, z_scores
from benchmarks.validation.tables import page, sections

RNG = np.random.default_rng(20261128)


def reference(z_means, z_sds, model="kidiq"):
    """Return a row of a posterior whose scalars lie so far from their references."""
    pairs = enumerate(zip(z_means, z_sds, strict=True))
    found = {f"x[{i}]": {"mean": float(mean), "sd": float(sd)} for i, (mean, sd) in pairs}
    measured = {"distances": found, "quality": {"rhat_max": 1.001}, "divergences": 2}
    return {"cell": "reference", "model": model, "seed": 1, "measurement": measured}


RIGHT = [reference(RNG.normal(size=200), RNG.normal(size=200))]


def test_right_draws_miss_nothing():
    assert misses(RIGHT) == []
    assert "All within their limits." in sections({"rows": RIGHT})[0]


def test_one_moment_that_is_far_off_is_reported():
    (sentence,) = misses([*RIGHT, reference([-4.3], [0.0], "garch")])
    assert sentence == "a mean is -4.3 standard errors off, the limit is 4"


def test_moments_that_are_all_a_little_off_are_reported():
    (sentence,) = misses([reference(np.zeros(50), 1.3 * np.resize([1.0, -1.0], 50))])
    assert sentence == "the rms of the z-scores of sds is 1.30, the limit 1.2"


def test_nothing_compared_is_a_miss():
    assert misses([]) == ["no mean was compared with a reference", "no sd was compared with a reference"]


def test_moments_of_z_scores():
    assert moments([3.0, -4.0]) == (pytest.approx(np.sqrt(12.5)), -4.0, 2)
    assert z_scores(RIGHT, "mean", "garch") == []


def test_the_command(tmp_path):
    path = command.main(["--posteriors", "eight_schools", "--seeds", "1", "--out", str(tmp_path)])
    made = json.loads(path.read_text())
    (row,) = made["rows"]
    assert len(row["measurement"]["distances"]) == 10 and row["measurement"]["quality"]["rhat_max"] < 1.05
    report.main([str(path)])
    assert "| eight_schools | 1 |" in path.with_suffix(".md").read_text()
    text = path.with_suffix(".html").read_text()
    assert text == page(made) and text.count("<svg") == 2 and text.count("<circle") == 20
