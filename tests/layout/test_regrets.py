"""How far from the best the search ends on machines of 8, 64 and 128 cores; and that these tests notice worse choosers.

``PYTHONPATH=tests python -m layout.regrets`` prints the figures that are asserted here, from more repeats.
"""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from layout.regrets import Scenario, chosen, outcome, searched, searches
from layout.simulated import CORES, KINDS

from nutmill.layout.layout import Layout
from nutmill.layout.search.measurements import Ledger

REPEATS = 3


@pytest.fixture(scope="module")
def made():
    return searches(REPEATS)


@pytest.fixture(scope="module")
def every(made):
    return [outcome(one) for one in made]


def by(every, *fields):
    groups = defaultdict(list)
    for one in every:
        groups[tuple(getattr(one, field) for field in fields)].append(one)
    return groups


def assert_near_the_best(every):
    """Median of each scenario within 5 % of the best; 95 of 100 within 4 and 10 %, at noise of 5 and 15 %."""
    for scenario, group in by(every, "kind", "n_cores", "chains").items():
        assert np.median([one.regret for one in group]) <= 0.05, scenario
    for (noise,), group in by(every, "noise").items():
        assert np.quantile([one.regret for one in group], 0.95) <= {0.05: 0.04, 0.15: 0.10}[noise], noise


def assert_no_worse_than_fixed_rules(every):
    """Never worse than the better of (all chains, one BLAS thread) and (one chain, all threads), but for noise."""
    for one in every:
        # A tie of 3 %, and two standard errors of a median of nine ratios of two measurements.
        beyond = 0.03 + 2.0 * 1.25 * one.noise * np.sqrt(2.0 / 9.0)
        assert one.against_rules <= beyond, one


def assert_few_measurements(every):
    """A quarter of what an exhaustive sweep needs to measure every layout as often as the chosen one.

    On average for each number of cores. Eight cores have only 12 layouts for four chains, of which the two scans
    alone visit more than half: they need a little more there, and some scenarios more than that.
    """
    for (n_cores,), group in by(every, "n_cores").items():
        assert np.mean([one.share for one in group]) <= (0.3 if n_cores == 8 else 0.25), n_cores
    for scenario, group in by(every, "kind", "n_cores", "chains").items():
        assert np.mean([one.share for one in group]) <= (0.4 if scenario[1] == 8 else 0.25), scenario


def test_all_scenarios_are_there(every):
    assert len(every) == len(KINDS) * len(CORES) * 2 * 2 * REPEATS
    assert {one.noise for one in every} == {0.05, 0.15}
    assert len({(one.best.chains_at_once, one.best.blas_threads) for one in every}) > 12


def test_the_search_ends_near_the_best(every):
    assert_near_the_best(every)


def test_the_search_is_no_worse_than_fixed_rules(every):
    assert_no_worse_than_fixed_rules(every)


def test_the_search_needs_few_measurements(every):
    assert_few_measurements(every)


def test_the_search_ends_in_time(every):
    assert max(one.spent_s for one in every) <= 20.5


def test_other_users_do_not_mislead():
    """Others take CPUs for a while, now and then: most of the time the choice is as good."""
    scenarios = [Scenario(kind, 64, 4, 0.05, seed) for kind in KINDS for seed in range(3)]
    busy = [outcome(searched(scenario, busy_share=0.2, busy_s=1.0)) for scenario in scenarios]
    assert np.median([one.regret for one in busy]) <= 0.05
    assert max(one.against_rules for one in busy) <= 0.2


def by_chain_time(found, job):
    """As if there were no waves."""
    ledger = Ledger(found.measurements)
    return min((a for a in ledger if not job.is_oversubscribed(a)), key=ledger.typical)


def by_throughput(found, job):
    """As if each layout always had as many chains to run as it can."""
    ledger = Ledger(found.measurements)
    fitting = [a for a in ledger if not job.is_oversubscribed(a)]
    return max(fitting, key=lambda layout: layout.chains_at_once / ledger.typical(layout))


def by_one_round(found, job):
    """As if one measurement of each finalist were enough."""
    return min(found.rounds[0], key=lambda layout: job.cost(layout, found.rounds[0][layout]))


def always_one_thread(found, job):
    return Layout(min(job.chains, job.n_cores))


def always_all_threads(found, job):
    return Layout(1, job.n_cores)


def the_worst_of_the_final(found, job):
    return max(found.rounds[-1], key=lambda layout: job.cost(layout, found.rounds[-1][layout]))


@pytest.mark.parametrize(
    "chooser, assertion",
    [
        (by_chain_time, assert_near_the_best),
        (by_chain_time, assert_no_worse_than_fixed_rules),
        (by_one_round, assert_near_the_best),
        (always_one_thread, assert_near_the_best),
        (always_all_threads, assert_near_the_best),
        (always_all_threads, assert_no_worse_than_fixed_rules),
        (the_worst_of_the_final, assert_near_the_best),
    ],
)
def test_worse_choosers_are_caught(made, chooser, assertion):
    worse = [outcome(one, chooser) for one in made]
    with pytest.raises(AssertionError):
        assertion(worse)


def test_an_exhaustive_sweep_is_caught(every):
    with pytest.raises(AssertionError):
        assert_few_measurements([one._replace(share=1.0) for one in every])


@pytest.mark.parametrize("chooser, most", [(chosen, 0.05), (by_throughput, None)])
def test_uneven_jobs_are_chosen_by_their_waves(chooser, most):
    """10 chains: 8 at once have more throughput than 5 at once, and as many waves, of slower chains."""
    layouts = [Layout(c, b) for c, b in itertools.product(range(1, 9), (1, 2)) if c * b <= 8]
    scenarios = [Scenario("elementwise", 8, 10, 0.02, seed) for seed in range(5)]
    regrets = [outcome(searched(scenario, layouts), chooser).regret for scenario in scenarios]
    if most is None:
        assert np.median(regrets) > 0.05
    else:
        assert np.median(regrets) <= most
