"""The report at the end: each fault of the draws is found, named and told; good draws give silence."""

import logging

import numpy as np
import pytest
from diagnosis.faultless import MODEL, N_CHAINS, N_DRAWS, good_posterior, good_stats, kinds

from nutmill import diagnose
from nutmill.diagnosis import posterior_scalars
from nutmill.diagnosis.check import report
from nutmill.diagnosis.finding import Finding
from nutmill.diagnosis.tails import pareto_shape
from nutmill.diagnosis.verdict import judge
from nutmill.results.trace import Draws, to_arviz


def autoregressive(shape, correlation, seed=3):
    """Give chains whose neighbours are correlated."""
    steps = np.random.default_rng(seed).normal(size=shape)
    for draw in range(1, shape[1]):
        steps[:, draw] = correlation * steps[:, draw - 1] + np.sqrt(1 - correlation**2) * steps[:, draw]
    return steps


def test_good_draws_give_silence():
    assert kinds() == {}


def test_chains_that_disagree_are_found():
    posterior = good_posterior((N_CHAINS, N_DRAWS))
    posterior["theta"][2, :, 1] += 3
    found = kinds(posterior)["rhat"]
    assert found.variables == ("theta[Deerfield]",)
    assert found.message.startswith("R-hat is above 1.01 for 1 of 3 parameters, worst theta[Deerfield] 1.")


def test_slow_chains_are_named_worst_first():
    posterior = {
        "fast": good_posterior((N_CHAINS, N_DRAWS))["mu"],
        "slow": autoregressive((N_CHAINS, N_DRAWS), 0.9),
        "slower": autoregressive((N_CHAINS, N_DRAWS), 0.97),
    }
    found = kinds(posterior)["ess"]
    assert found.variables == ("slower", "slow")
    assert found.message.startswith("The effective sample size is below 400 (100 per chain) for 2 of 3 parameters")


def test_a_long_list_of_variables_is_cut():
    posterior = {f"x{k}": autoregressive((N_CHAINS, N_DRAWS), 0.97, seed=k) for k in range(5)}
    found = kinds(posterior)["ess"]
    assert len(found.variables) == 5
    assert "and 2 more. Take" in found.message


def test_divergences_count_and_name_chains():
    stats = good_stats((N_CHAINS, N_DRAWS))
    stats["diverging"][1, 3:5] = True
    stats["diverging"][3, 7] = True
    message = kinds(stats=stats)["divergences"].message
    assert message.startswith("3 of 2000 draws diverged (chains 1, 3): ")
    assert "target_accept" in message


def test_most_divergences_of_one_chain_are_reported():
    stats = good_stats((N_CHAINS, N_DRAWS))
    stats["diverging"][2, :9] = stats["diverging"][0, 3] = True
    assert (
        "10 of 2000 draws diverged (9 of them in chain 2, of chains 0, 2): "
        in kinds(stats=stats)["divergences"].message
    )


@pytest.mark.parametrize(("sign", "end"), [(1, "lowest"), (-1, "highest")])
def test_divergences_are_located(sign, end):
    posterior, stats = good_posterior((N_CHAINS, N_DRAWS)), good_stats((N_CHAINS, N_DRAWS))
    ordered = np.argsort(sign * posterior["theta"][..., 1], axis=None)
    stats["diverging"].flat[ordered[[0, 3, 5, 8, 11, 20, 30, 39, 900]]] = True
    found = kinds(posterior, stats)["divergences"]
    assert f"; 8 of them lie in the {end} 2 % of theta[Deerfield]: " in found.message
    assert found.variables == ("theta[Deerfield]",)


def test_divergences_that_lie_anywhere_are_not_located():
    posterior, n_located = good_posterior((N_CHAINS, N_DRAWS)), 0
    for seed in range(200):
        stats = good_stats((N_CHAINS, N_DRAWS))
        stats["diverging"].flat[np.random.default_rng(seed).choice(N_CHAINS * N_DRAWS, 5 + seed, replace=False)] = True
        n_located += bool(kinds(posterior, stats)["divergences"].variables)
    assert n_located <= 1  # one in a thousand


def test_tails_that_come_in_streaks():
    """The bulk moves well, but the largest twentieth of each half of a chain comes in one streak."""
    draws = np.sort(good_posterior((2 * N_CHAINS, N_DRAWS // 2))["mu"])
    n_tail = draws.shape[1] // 20
    np.random.default_rng(6).permuted(draws[:, :-n_tail], axis=1, out=draws[:, :-n_tail])
    found = kinds({"mu": draws.reshape(N_CHAINS, N_DRAWS)})
    assert set(found) == {"tail_ess"}
    assert found["tail_ess"].variables == ("mu",)
    assert "size of the tails (the 5 % and 95 % quantiles) is below 400" in found["tail_ess"].message


def test_means_that_do_not_exist():
    rng, shape = np.random.default_rng(7), (N_CHAINS, N_DRAWS)
    posterior = {
        "cauchy": rng.standard_cauchy(shape),
        "has_mean": rng.standard_t(3, shape),
        "skewed": rng.lognormal(0, 1, shape),
        "normal": rng.normal(size=shape),
    }
    found = kinds(posterior)
    assert set(found) == {"no_mean"}
    assert found["no_mean"].variables == ("cauchy",)
    assert "of cauchy (Pareto k " in found["no_mean"].message


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.7, 1.2])
def test_the_shape_of_a_tail_is_estimated(k):
    """At the quantiles of the distribution itself."""
    p = (np.arange(4000) + 0.5) / 4000
    assert abs(pareto_shape(((1 - p) ** -k - 1) / k) - k) < 0.02


def test_groups_that_disagree_more_than_chains():
    shape = (2 * N_CHAINS, N_DRAWS)
    # The halves of chains have equal means but for the shift.
    half = np.sort(good_posterior((1, N_DRAWS // 2))["mu"][0])
    halves = np.random.default_rng(8).permuted(np.tile(half / half.std(), (4 * N_CHAINS, 1)), axis=1)
    posterior = {"mu": halves.reshape(shape)}
    assert kinds(posterior, shape=shape) == {}
    posterior["mu"][N_CHAINS:] += 0.26
    found = kinds(posterior, shape=shape)
    assert set(found) == {"groups"}
    assert found["groups"].variables == ("mu",)


@pytest.mark.parametrize(("n_cut", "is_told"), [(25, False), (26, True)])
def test_tree_depth_is_told_from_five_per_cent_on(n_cut, is_told):
    stats = good_stats((N_CHAINS, N_DRAWS))
    stats["reached_max_treedepth"][2, :n_cut] = True
    found = kinds(stats=stats)
    assert ("tree_depth" in found) == is_told
    if is_told:
        assert "(chain 2)" in found["tree_depth"].message
        assert "flat priors" not in found["tree_depth"].message


def test_where_every_trajectory_is_cut_off_the_draws_are_not_called_fine():
    """As on a density without an end, beside an R-hat of 2."""
    stats = good_stats((N_CHAINS, N_DRAWS))
    stats["reached_max_treedepth"][:] = True
    message = kinds(stats=stats)["tree_depth"].message
    assert "cut off 100%" in message and "flat priors" in message and "fine" not in message


def test_energy_that_moves_slowly_is_found():
    stats = good_stats((N_CHAINS, N_DRAWS))
    stats["energy"][0] = autoregressive((1, N_DRAWS), 0.97)[0]
    assert "(chain 0)" in kinds(stats=stats)["bfmi"].message


def test_a_chain_in_a_mode_of_little_weight():
    stats = good_stats((N_CHAINS, N_DRAWS))
    stats["lp"][3] -= 40
    message = kinds(stats=stats)["lp"].message
    assert message.startswith("The log density lies 4") and "(chain 3)" in message


def test_a_chain_that_never_moved():
    posterior, stats = good_posterior((N_CHAINS, N_DRAWS)), good_stats((N_CHAINS, N_DRAWS))
    for values in posterior.values():
        values[1] = values[1, :1]
    stats["energy"][1], stats["lp"][1] = 7.0, -900.0
    found = kinds(posterior, stats)
    assert set(found) == {"rhat", "ess", "lp"}
    assert set(found["rhat"].variables) == {"mu", "theta[Choate]", "theta[Deerfield]"}
    assert "(chain 1)" in found["lp"].message


def test_no_chain_moved():
    posterior, stats = good_posterior((N_CHAINS, N_DRAWS)), good_stats((N_CHAINS, N_DRAWS))
    stats["energy"] = stats["energy"][:, :1]
    for values in posterior.values():
        values[:] = values[:, :1]
    assert "mu" in kinds(posterior, stats)["rhat"].variables


def test_what_is_constant_by_construction_is_no_fault():
    correlation = np.ones((N_CHAINS, N_DRAWS))
    positive = np.random.default_rng(4).integers(0, 2, (N_CHAINS, N_DRAWS)).astype(bool)
    posterior = good_posterior((N_CHAINS, N_DRAWS)) | {"diagonal": correlation, "positive": positive}
    assert kinds(posterior) == {}
    assert kinds({"diagonal": correlation}) == {}


def test_a_variable_without_elements_is_no_fault():
    posterior = good_posterior((N_CHAINS, N_DRAWS)) | {"nothing": np.zeros((N_CHAINS, N_DRAWS, 0))}
    assert kinds(posterior) == {}


def test_values_that_are_not_finite():
    posterior = good_posterior((N_CHAINS, N_DRAWS))
    posterior["theta"][0, 10, 0] = np.inf
    found = kinds(posterior)
    assert set(found) == {"not_finite"}
    assert found["not_finite"].variables == ("theta[Choate]",)


def test_only_the_named_variables_are_checked():
    posterior = good_posterior((N_CHAINS, N_DRAWS)) | {"slow": autoregressive((N_CHAINS, N_DRAWS), 0.99)}
    assert "ess" in kinds(posterior)
    assert kinds(posterior, var_names=["mu", "theta"]) == {}


@pytest.mark.parametrize("n_draws", [0, 1, 3])
@pytest.mark.parametrize("n_chains", [1, 2])
def test_too_few_draws_are_said_so(n_chains, n_draws):
    found = kinds(shape=(n_chains, n_draws))
    assert set(found) == {"too_few"}
    assert f"{n_draws} draw" in found["too_few"].message


@pytest.mark.parametrize("n_chains", [1, 2])
def test_the_fewest_draws_that_have_an_ess(n_chains):
    assert "ess" in kinds(shape=(n_chains, 4))


def test_one_chain_has_no_rhat_and_that_is_said():
    found = kinds(shape=(1, N_DRAWS))
    assert set(found) == {"too_few"}
    assert found["too_few"].message.startswith("Only one chain")


def test_large_models_are_sampled_and_small_variables_are_not(monkeypatch):
    monkeypatch.setattr(posterior_scalars, "MAX_PARAMETERS", 400)
    shape = (2, 200)
    rng = np.random.default_rng(5)
    posterior = {"large": rng.normal(size=(*shape, 100, 50)), "tau": rng.normal(size=shape)}
    posterior["tau"][0] += 5
    found = kinds(posterior, shape=shape)
    assert found["rhat"].variables[0] == "tau"
    assert found["sampled"].message.startswith("R-hat and ESS were computed for 400 of 5001 ")


def test_more_variables_than_are_looked_at(monkeypatch):
    monkeypatch.setattr(posterior_scalars, "MAX_PARAMETERS", 20)
    shape = (2, 5)
    posterior = {f"x{k}": np.zeros(shape) for k in range(27)}
    assert "20 of 27" in kinds(posterior, shape=shape)["sampled"].message


def test_what_the_sampler_says_comes_first():
    stats = good_stats((N_CHAINS, N_DRAWS))
    stats["diverging"][0, 0] = True
    data = to_arviz(Draws(good_posterior((N_CHAINS, N_DRAWS)), stats), MODEL)
    findings = judge(data, notes=["Chain 2 was not admitted."]).findings
    assert findings[0] == Finding("note", "Chain 2 was not admitted.")
    assert [finding.kind for finding in findings] == ["note", "divergences"]


def test_the_report_is_one_line_a_finding(caplog):
    report([Finding("ess", "More draws, please."), Finding("note", "100% of chains")])
    assert caplog.record_tuples == [
        ("nutmill", logging.WARNING, "More draws, please."),
        ("nutmill", logging.WARNING, "100% of chains"),
    ]


def test_a_verdict_in_python():
    posterior = good_posterior((N_CHAINS, N_DRAWS))
    posterior["theta"][2, :, 1] += 3
    found = diagnose(to_arviz(Draws(posterior, good_stats((N_CHAINS, N_DRAWS))), MODEL))
    first, *rest = str(found).splitlines()
    assert first.startswith("4 chains x 500 draws, 0 divergent; largest R-hat 1.")
    assert "(theta[Deerfield]); least effective sample size" in first and ", of tails " in first
    assert rest == [finding.message for finding in found.findings] and found.is_doubtful
    only = diagnose(to_arviz(Draws(posterior, good_stats((N_CHAINS, N_DRAWS))), MODEL), var_names=["mu"])
    assert not only.is_doubtful and str(only).endswith(".\nNo problem was found.")
