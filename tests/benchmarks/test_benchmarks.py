"""The pure parts of the benchmarks: ratios, means, times of gradients, and models that can be built."""

import math

import numpy as np
import pytest
import xarray as xr
from pytensor.compile.mode import Mode

import nutmill
from benchmarks import efficiency, models
from benchmarks.comparison import Ratio, geometric_mean, ratio
from benchmarks.distances import distances, scalars
from benchmarks.gradient_tables import (
    Times,
    blas,
    goals_section,
    overhead,
    ratios_section,
    times_section,
    two_cores,
    verdict,
)
from benchmarks.models.further import disease_map
from benchmarks.models.posteriordb import Reference
from benchmarks.tables import show
from nutmill.comparison.quality import quality
from nutmill.comparison.rounds import environment, explain

# Models that compile in two seconds or so; `tests/model/test_gradients.py` has all of them as slow ones, too.
QUICK = ("radon", "regression", "irt", "stochastic_volatility", "survival", "ordinal", "negative_binomial")


def test_a_ratio_divides_geometric_means():
    assert ratio([2.0, 8.0], [1.0, 4.0]).value == pytest.approx(2.0, rel=1e-14)


def test_the_error_of_a_ratio_is_that_of_two_means_of_logarithms():
    step = math.log(4.0)
    # Two values whose logarithms are `step` apart: the error of their mean is step / 2.
    assert ratio([2.0, 8.0], [1.0, 4.0]).log_error == pytest.approx(math.hypot(step / 2, step / 2), rel=1e-14)


def test_one_run_each_has_a_ratio_of_unknown_error():
    assert math.isnan(ratio([3.0], [2.0]).log_error)


@pytest.mark.parametrize("numbers", [[], [1.0, 0.0], [-1.0]])
def test_what_has_no_ratio_is_refused(numbers):
    with pytest.raises(ValueError, match=r"no measurements|only positive"):
        ratio(numbers, [1.0])


def test_the_geometric_mean_of_inverse_ratios_is_one():
    overall = geometric_mean([Ratio(4.0, 0.3), Ratio(0.25, 0.4)])
    assert overall.value == pytest.approx(1.0, rel=1e-14)
    assert overall.log_error == pytest.approx(0.25, rel=1e-14)


def test_below_a_bound_means_by_more_than_two_standard_errors():
    assert Ratio(0.8, 0.02).surely_below(0.85)
    assert not Ratio(0.8, 0.04).surely_below(0.85)
    assert Ratio(0.84, math.nan).surely_below(0.85)


def test_ratios_are_written_with_their_errors_where_known():
    assert show(Ratio(1.5, 0.02)) == "1.50 ± 0.03"
    assert show(Ratio(1.5, math.nan)) == "1.50"
    assert show(Ratio(math.nan, math.nan)) == "not measured"


def test_a_cell_keeps_the_users_pytensor_flags_but_not_its_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTENSOR_FLAGS", "base_compiledir=/elsewhere,cxx=")
    assert environment(tmp_path)["PYTENSOR_FLAGS"] == f"cxx=,base_compiledir={tmp_path / 'pytensor'}"


def timed_row(program, *, gradient, sampling, two, blas_threads=None):
    """Return a row of the gradient benchmark whose wall and CPU times are the same."""
    times = {
        "gradient": gradient,
        "gradient_two_threads": gradient,
        "sampling": sampling,
        "sampling_two_cores": two,
    }
    measurement = {name: {"wall": time, "cpu": time} for name, time in times.items()}
    cell = {"model": "gp", "program": program, "blas_threads": blas_threads, "round": 1}
    return cell | {"measurement": measurement}


def test_the_overhead_of_a_small_gradient_is_a_difference_and_of_a_large_one_a_share():
    small = Times([timed_row("nutmill", gradient=1.0, sampling=1.1, two=1.0)])
    assert overhead(small, "gp").ours == pytest.approx(0.1)
    assert overhead(small, "gp").met
    large = Times([timed_row("nutmill", gradient=100.0, sampling=110.0, two=1.0)])
    assert overhead(large, "gp").ours == pytest.approx(0.1)
    assert not overhead(large, "gp").met


def test_the_overhead_of_the_baseline_is_that_with_one_blas_thread_where_it_was_set():
    rows = [timed_row("nutmill", gradient=100.0, sampling=102.0, two=1.0)]
    rows += [timed_row("nutpie", gradient=100.0, sampling=300.0, two=1.0)]
    assert overhead(Times(rows), "gp").theirs == pytest.approx(2.0)
    rows += [timed_row("nutpie", gradient=100.0, sampling=110.0, two=1.0, blas_threads=1)]
    assert overhead(Times(rows), "gp").theirs == pytest.approx(0.1)


def test_a_negative_overhead_is_noise_and_never_a_goal_met():
    judged = overhead(Times([timed_row("nutmill", gradient=20.0, sampling=5.0, two=1.0)]), "gp")
    assert verdict(judged) == "**too noisy to tell**"


def test_times_are_medians_over_the_rounds():
    rows = [timed_row("nutmill", gradient=time, sampling=1.0, two=1.0) for time in (1.0, 9.0, 2.0)]
    assert Times(rows).of(("gp", "nutmill", None), "gradient", "cpu") == 2.0


def test_two_cores_are_judged_by_the_wall():
    times = Times([timed_row("nutmill", gradient=1.0, sampling=3.0, two=2.0)])
    assert two_cores(times, "gp").ours == pytest.approx(1.5)
    assert not two_cores(times, "gp").met


def test_blas_is_judged_against_one_thread_and_against_the_defaults():
    rows = [timed_row("nutmill", gradient=1.0, sampling=1.0, two=1.0)]
    rows += [timed_row("nutpie", gradient=1.0, sampling=1.0, two=3.0)]
    rows += [timed_row("nutpie", gradient=1.0, sampling=1.0, two=0.9, blas_threads=1)]
    by_hand, defaults = blas(Times(rows), "gp")
    assert (by_hand.ours, by_hand.met) == (pytest.approx(0.9), False)
    assert (defaults.ours, defaults.met) == (pytest.approx(3.0), True)


def test_the_tables_of_the_gradient_name_what_was_missed_and_what_was_not_measured():
    rows = [timed_row("nutmill", gradient=1.0, sampling=2.0, two=1.0)]
    assert "| gp | nutmill | default | 1 / 1 | 1 / 1 | 2 / 2 | 1 / 1 |" in times_section(rows)
    assert "| gp | overhead, us | 1 | not measured | < 0.2 | **missed** |" in goals_section(rows, ["gp"])
    assert "| gp | overhead, us | not measured | not measured | < 0.2 | not measured |" in goals_section([], ["gp"])


def test_bare_gradients_have_a_geometric_mean_of_ratios():
    rows = [timed_row("nutmill", gradient=2.0, sampling=1.0, two=1.0) | {"model": model} for model in ("a", "b")]
    rows += [timed_row("nutpie", gradient=4.0, sampling=1.0, two=1.0) | {"model": "a"}]
    rows += [timed_row("nutpie", gradient=16.0, sampling=1.0, two=1.0) | {"model": "b"}]
    assert "| geometric mean |  |  | 4 |" in ratios_section(rows)
    del rows[0]["measurement"]["gradient"]
    assert "| a | not measured | 4 | not measured |" in ratios_section(rows)


def test_the_end_of_a_process_is_put_in_words():
    assert explain(0, "a warning") is None
    assert explain(1, "Traceback\nValueError: no\n\n") == "ValueError: no"
    assert explain(1, "a.TypingError: cannot\n  compile\nDuring: a pass\n") == "a.TypingError: cannot"
    assert explain(-11, "") == "killed by signal 11 (SIGSEGV)"
    assert explain(3, "") == "ended with status 3 and said nothing"


def test_scalars_are_named_as_stan_names_them():
    values = xr.Dataset({"mu": 1.0, "omega": (("i", "j"), [[2.0, 3.0]])})
    assert scalars(values) == {"mu": 1.0, "omega[1,1]": 2.0, "omega[1,2]": 3.0}


@pytest.fixture(scope="module")
def normal_draws():
    """Return independent draws of a normal with mean 3 and standard deviation 2."""
    draws = 3.0 + 2.0 * np.random.default_rng(1).normal(size=(4, 4000))
    return xr.Dataset({"x": (("chain", "draw"), draws)})


def test_the_page_of_efficiency_tells_means_of_seeds_and_the_worst_of_diagnostics():
    def rows(sampler, ess, n_divergences):
        row = {"model": "kidiq", "sampler": sampler, "n_gradients": 1000, "rhat_max": 1.0 + n_divergences / 1000}
        return row | {"ess_bulk_min": ess, "n_divergences": n_divergences}

    measured = [rows("nutmill", 2.0, 0), rows("nutmill", 8.0, 3), rows("nutpie", 2.0, 1), rows("nutpie", 2.0, 0)]
    lines = efficiency.table(measured, ["kidiq", "earnings"]).splitlines()
    assert "| kidiq | 4 | 2 | 2.00 ± 1.39 | 3 | 1 | 1.003 | 1.001 |" in lines
    assert "| earnings | not measured | | | | | | |" in lines
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_independent_draws_lie_within_their_standard_errors(normal_draws):
    distance = distances(normal_draws, {"x": Reference(3.0, 2.0, 0.0, 0.0)})["x"]
    assert abs(distance.mean) < 4.0
    assert abs(distance.sd) < 4.0


def test_a_wrong_reference_lies_as_far_as_theory_says(normal_draws):
    exact = distances(normal_draws, {"x": Reference(3.0, 2.0, 0.0, 0.0)})["x"]
    shifted = distances(normal_draws, {"x": Reference(2.9, 1.95, 0.0, 0.0)})["x"]
    count = normal_draws["x"].size
    # The errors themselves are estimated, to a few per cent.
    assert shifted.mean - exact.mean == pytest.approx(0.1 / (2.0 / math.sqrt(count)), rel=0.1)
    assert shifted.sd - exact.sd == pytest.approx(0.05 / (2.0 / math.sqrt(2 * count)), rel=0.1)


def test_the_quality_of_independent_draws_is_their_number(normal_draws):
    judged = quality(normal_draws)
    assert judged.ess_bulk_min == pytest.approx(normal_draws["x"].size, rel=0.1)
    assert judged.rhat_max < 1.01


@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")
@pytest.mark.parametrize("name", [*models.MODELS, *models.FURTHER, "generated", models.PRIMING])
def test_every_model_has_a_finite_density_at_its_start(name):
    model = models.build(name)
    # Neither rewritten nor compiled: this is about the model.
    density = model.compile_logp(mode=Mode(linker="py", optimizer=None))
    assert np.isfinite(density(model.initial_point()))


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in (*models.SYNTHETIC, *models.FURTHER)
    ],
)
def test_every_model_runs_in_native_code_and_its_gradient_is_that_of_its_density(name):
    compiled = nutmill.compile_model(models.build(name))
    assert compiled.code.fused and compiled.code.stands_alone and not compiled.code.python_ops
    rng = np.random.default_rng(20261128)
    (q,), direction, step = compiled.starts(None, 1, 1, jitter=True), rng.normal(size=compiled.n_dim), 1e-4
    _, gradient = compiled.logp_dlogp(q)
    above, below = (compiled.logp_dlogp(q + sign * step * direction)[0] for sign in (1.0, -1.0))
    slope = (above - below) / (2.0 * step)
    assert slope == pytest.approx(gradient @ direction, rel=1e-3, abs=1e-6 * np.abs(gradient * direction).sum())


@pytest.mark.parametrize("name", models.POSTERIORDB)
def test_every_reference_speaks_of_variables_of_its_model(name):
    variables = models.build(name).named_vars
    assert {scalar.partition("[")[0] for scalar in models.reference(name)} <= set(variables)


def test_an_unknown_model_is_refused_with_the_names_of_those_there_are():
    with pytest.raises(KeyError, match="choose from eight_schools, kidiq"):
        models.build("eight_schoools")


def test_the_map_is_scaled_by_variances_that_neighbours_leave():
    """By eigenvectors, but for that of what is equal everywhere; two releases of NumPy disagreed by twelve digits."""
    near = disease_map._neighbours()
    values, vectors = np.linalg.eigh(np.diag(near.sum(1)) - near)
    variances = (vectors[:, 1:] ** 2 / values[1:]).sum(axis=1)
    assert disease_map._scale() == pytest.approx(np.exp(np.log(variances).mean()), rel=1e-10)
