"""Fits by an executor: the rows of fits in threads, whatever workers do."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from apart import processes
from many.keepers import ends, mean
from many_models import effects, line, points, schools

from nutmill import ArgumentError, ModelError, SamplingError, sample_many

OPTIONS = {"draws": 40, "random_seed": 7, "progressbar": False}


@pytest.fixture(scope="module")
def pool():
    with processes() as executor:
        yield executor


def assert_are_those_of_threads(compiled, data, executor, **options):
    one, other = (sample_many(compiled, data, **OPTIONS, **options, **where) for where in ({}, {"executor": executor}))
    assert set(one.children) == set(other.children)
    for name in one.children:
        assert one[name].to_dataset().identical(other[name].to_dataset()), name


def test_processes_make_the_same_fits(pool):
    assert_are_those_of_threads(schools(), effects(12), pool)
    assert_are_those_of_threads(line(), points(3, 7, 2), pool, keep="draws")
    assert_are_those_of_threads(schools(), effects(3), pool, keep=mean, pilot=2)


def test_failures_are_rows_there_too(pool):
    data = [*effects(2), {"effect": np.full(5, np.nan), "error": np.ones(5)}]
    assert_are_those_of_threads(schools(), data, pool)
    with pytest.raises(ModelError, match="Data set 2: Observed data of effect are NaN"):
        sample_many(schools(), data, executor=pool, on_error="raise", **OPTIONS)


def test_any_executor_goes_on_where_a_call_was_stopped(tmp_path):
    with ThreadPoolExecutor(2) as threads:
        sample_many(schools(), effects(9), checkpoint=tmp_path, every=1e-9, executor=threads, **OPTIONS)
        sorted(tmp_path.glob("rows-*"))[-1].unlink()
        assert_are_those_of_threads(schools(), effects(9), threads)
        again = sample_many(schools(), effects(9), checkpoint=tmp_path, executor=threads, **OPTIONS)
    one = sample_many(schools(), effects(9), **OPTIONS)
    assert again["summary"].to_dataset().identical(one["summary"].to_dataset())


def test_a_lost_worker_is_reported():
    with processes() as executor, pytest.raises(SamplingError, match="process of the executor has ended"):
        sample_many(schools(), effects(3), keep=ends, executor=executor, **OPTIONS)


WRONG = {
    "no-executor": ({"executor": 3}, "executor must be a"),
    "lambda": ({"keep": lambda fit: {"x": 1.0}}, "take a function of a module"),
    "prior": ({"starts": "prior"}, "no priors to draw starts from"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_sent_is_refused(wrong):
    given, said = WRONG[wrong]
    with ThreadPoolExecutor(1) as threads, pytest.raises(ArgumentError, match=said):
        sample_many(schools(), effects(1), **{"executor": threads, **OPTIONS, **given})
