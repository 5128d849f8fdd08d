"""What rows of a comparison come to: closed forms."""

import math

import pytest
from comparison.rows import QUALITY, measured, row, spent

from nutmill.comparison.samplers.contract import CompileClock, Spent, parted
from nutmill.comparison.summary import sampling_seconds_to_ess, seconds_to_ess, summarize, warmup_share


def test_time_to_effective_draws():
    """Six seconds before sampling, four of warmup, and a part of the six that 900 effective draws took in the tails."""
    assert seconds_to_ess(measured()) == pytest.approx(10.0 + 6.0 * 4.0 / 9.0)
    assert sampling_seconds_to_ess(measured()) == pytest.approx(4.0 + 6.0 * 4.0 / 9.0)
    assert seconds_to_ess(measured(), wanted=1800) == pytest.approx(22.0)
    little_in_the_bulk = measured(quality=QUALITY | {"ess_bulk_min": 600.0})
    assert seconds_to_ess(little_in_the_bulk) == pytest.approx(14.0)


def test_warmup_of_samplers_that_count_no_gradients():
    size = measured()["size"] | {"draws": 3000}
    assert warmup_share(measured(warmup_gradients=None, size=size)) == 0.25
    assert warmup_share(measured()) == 0.4


def test_medians_of_cold_and_warm_runs():
    rows = [
        row("nutmill", 0, compiled=spent(5.0)),
        row("nutmill", 1, compiled=spent(0.2), sampled=spent(8.0)),
        row("nutmill", 2, compiled=spent(0.4), sampled=spent(12.0)),
    ]
    (found,) = summarize(rows, ["nutmill"])
    assert (found.n_runs, found.failure, found.divergences) == (3, None, 3)
    assert (found.compile_cold_s, found.compile_warm_s, found.sample_s) == (5.0, pytest.approx(0.3), 10.0)
    assert found.spread == 1.5
    assert found.to_ess_cold_s == pytest.approx(12.0 + 6.0 * 4.0 / 9.0)
    assert found.ess_per_1000_gradients == 1200.0
    assert (found.tail_ess_per_1000_gradients, found.tail_ess_per_cpu_s) == (900.0, 75.0)
    assert found.ess_per_1000_draw_gradients == 2000.0
    assert (found.ess_per_s, found.ess_per_cpu_s) == (120.0, 100.0)
    assert found.agreement is None


def test_means_are_compared_with_those_of_the_first_sampler():
    means = {"mu": [1.2, 0.04], "tau": [1.95, 0.04], "only_here": [0.0, 1.0]}
    first, second = summarize([row("nutmill"), row("nutpie", means=means)], ["nutmill", "nutpie"])
    assert first.agreement is None
    agreement = second.agreement
    assert (agreement.reference, agreement.label) == ("nutmill", "mu")
    assert agreement.furthest == pytest.approx(4.0)  # 0.2 in units of hypot(0.03, 0.04)
    assert agreement.rms == pytest.approx(math.sqrt((16 + 1) / 2))


@pytest.mark.parametrize(
    ("changes", "is_clean"),
    [
        ({}, True),
        ({"ess_tail_min": 399.0}, False),
        ({"ess_bulk_min": 399.0}, False),
        ({"rhat_max": 1.011}, False),
        ({"rhat_max": math.nan}, False),
        ({"ess_tail_min": math.nan}, False),
    ],
)
def test_runs_are_counted_that_nothing_speaks_against(changes, is_clean):
    rows = [row("nutmill", quality=QUALITY | changes, divergences=0), row("nutmill", 1, divergences=1)]
    (found,) = summarize(rows, ["nutmill"])
    assert (found.n_clean, found.n_runs) == (int(is_clean), 2)


def test_what_is_not_known_is_nan():
    (found,) = summarize([row("numpyro", warmup_gradients=None)], ["numpyro"])
    assert math.isnan(found.gradients) and math.isnan(found.ess_per_1000_gradients) and math.isnan(found.to_ess_warm_s)
    assert found.ess_per_1000_draw_gradients == 2000.0


def test_failures_stay_in_sight():
    rows = [row("nutmill"), row("nutpie", failure="no result within 1 s")]
    good, failed = summarize(rows, ["nutmill", "nutpie"])
    assert good.failure is None
    assert (failed.n_runs, failed.failure) == (0, "no result within 1 s")
    assert math.isnan(failed.ess_bulk_min)


def test_the_reference_is_the_first_that_has_draws():
    rows = [row("nutpie", failure="no"), row("pymc"), row("nutmill")]
    found = summarize(rows, ["nutpie", "pymc", "nutmill"])
    assert found[2].agreement.reference == "pymc"
    assert found[2].agreement.furthest == 0.0


def test_compiling_within_a_call_is_parted_from_sampling():
    assert parted(Spent(10.0, 16.0), 4.0) == (Spent(4.0, 4.0), Spent(6.0, 12.0))
    assert parted(Spent(3.0, 3.0), 4.0) == (Spent(3.0, 3.0), Spent(0.0, 0.0))
    assert parted(Spent(4.0, 2.0), 3.0) == (Spent(3.0, 1.5), Spent(1.0, 0.5))  # a machine that others hold, too


def test_a_run_too_short_for_the_clock_has_no_rates():
    (found,) = summarize([row("pymc", sampled=spent(0.0))], ["pymc"])
    assert math.isnan(found.ess_per_s) and math.isnan(found.ess_per_cpu_s) and math.isnan(found.spread)
    assert math.isnan(found.cores_busy)


def test_compile_times_within_others_count_once(monkeypatch):
    clock, moment = CompileClock(), iter([3.0, 5.0, 10.0, 11.0])
    monkeypatch.setattr("time.monotonic", lambda: next(moment))
    clock.note("/jax/core/compile/jaxpr_trace_duration", 1.0)  # 2 to 3, within
    clock.note("/jax/core/compile/jaxpr_trace_duration", 4.0)  # 1 to 5
    clock.note("/jax/core/compile/backend_compile_duration", 2.0)  # 8 to 10
    clock.note("/jax/something/else", 1.0)
    assert clock.seconds() == pytest.approx(6.0)


def test_quality_of_the_rows_is_what_is_asked_for():
    (found,) = summarize([row("nutmill")], ["nutmill"])
    assert {name: getattr(found, name) for name in QUALITY} == QUALITY
