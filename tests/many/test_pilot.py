"""The pilot: chooses the cheapest way that does as well, says which, and every fit is the single run of that way."""

from functools import cache

import numpy as np
import pymc as pm
import pytest
from many_models import line, points

import nutmill
from nutmill import ArgumentError, sample_many
from nutmill.layout.layout import Layout
from nutmill.many import pilot
from nutmill.many.all_fits import Plan
from nutmill.many.fitting import Fitter
from nutmill.many.keeping import keeper_of
from nutmill.many.pilot import SHORT_WARMUP, _Found, _gain, ways_of
from nutmill.sampling.request import checked_request

OPTIONS = {"draws": 100, "random_seed": 8, "progressbar": False}


@cache
def ridge():
    """Ten parameters of which the data know little but the sum: without directions draws crawl along."""
    with pm.Model() as model:
        x = pm.Normal("x", shape=10)
        pm.Normal("y", x.sum(), 0.01, observed=pm.Data("measured", 0.0))
    return nutmill.compile_model(model)


def sums(count):
    return [{"measured": np.array(float(number))} for number in range(count)]


def test_an_easy_model_has_a_short_warmup_without_directions():
    data = points(5, 9, 5)
    result = sample_many(line(), iter(data), pilot=2, keep="draws", **OPTIONS)
    assert (result.attrs["metric"], result.attrs["tune"]) == ("diag", SHORT_WARMUP)
    assert result["fits"]["n_warmup"].values.tolist() == [SHORT_WARMUP] * 3
    for number in range(3):
        one = nutmill.sample(
            line().with_data(**data[number]),
            metric="diag",
            tune=SHORT_WARMUP,
            compute_convergence_checks=False,
            **{**OPTIONS, "random_seed": nutmill.fit_seed(8, number)},
        )
        drawn = result["posterior"]["slope"].values[number]
        assert drawn.tobytes() == one.posterior["slope"].values.tobytes()


def test_a_model_that_needs_directions_keeps_them():
    result = sample_many(ridge(), sums(4), pilot=3, **OPTIONS)
    assert result.attrs["metric"] == "auto"


def test_neither_threads_nor_what_comes_later_matter(tmp_path):
    one = sample_many(line(), points(5, 9, 5), pilot=2, cores=1, **OPTIONS)
    other = sample_many(line(), points(5, 9, 5)[:2], pilot=2, cores=3, checkpoint=tmp_path / "fits", **OPTIONS)
    again = sample_many(line(), points(5, 9, 5)[:2], pilot=2, checkpoint=tmp_path / "fits", **OPTIONS)
    for found in (other, again):
        assert found.attrs == one.attrs
        assert found["summary"]["slope"].values.tolist() == one["summary"]["slope"].values[:2].tolist()


def test_what_was_asked_for_stays():
    ways = [(way.metric, way.tune) for way in ways_of(checked_request(tune=30, metric="diag"))]
    assert ways == []
    assert [(way.metric, way.tune) for way in ways_of(checked_request(tune=30))] == [("diag", 30)]
    assert [(w.metric, w.tune) for w in ways_of(checked_request(metric="diag"))] == [("diag", SHORT_WARMUP)]


@pytest.mark.parametrize(
    ("bulk", "tail", "problems", "expected"),
    [
        (0.95, 0.95, 0, True),
        (0.8, 2.0, 0, False),
        (2.0, 0.8, 0, False),
        (2.0, 2.0, 1, False),
        (np.nan, np.nan, 0, False),
    ],
    ids=["as-good", "bulk", "tail", "problems", "failed"],
)
def test_a_cheaper_way_has_to_do_as_well(monkeypatch, bulk, tail, problems, expected):
    asked = checked_request(metric="diag")
    found = {
        None: _Found(np.ones(3), np.ones(3), 0),
        SHORT_WARMUP: _Found(np.full(3, bulk), np.full(3, tail), problems),
    }
    monkeypatch.setattr(pilot, "_found", lambda plan, request, sets: found[request.tune])

    plan = Plan(Fitter(line(), asked), keeper_of("summary"), False, Layout(1))
    assert (pilot.chosen(plan, []).tune == SHORT_WARMUP) == expected


def test_gains_are_of_fits_that_both_made():
    assert _gain(np.array([2.0, np.nan, 8.0, 5.0]), np.array([1.0, 1.0, 1.0, np.nan])) == pytest.approx(4.0)


@pytest.mark.parametrize("wrong", [-1, 2.5, True, "all"])
def test_what_is_no_number_of_data_sets_is_refused(wrong):
    with pytest.raises(ArgumentError, match="pilot must be a whole number"):
        sample_many(line(), points(3), pilot=wrong, **OPTIONS)
