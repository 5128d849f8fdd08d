"""The search over several BLAS libraries, on simulated machines: losers are out early, the best is found."""

from types import SimpleNamespace

import numpy as np
import pytest
from layout.simulated import KINDS, Machine, seconds_per_unit

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job, candidates
from nutmill.layout.search.choose import choose
from nutmill.layout.search.search import search


def of_libraries(factors, kind="gp 200", n_cores=8, chains=8, seed=0):
    """Search on a machine whose libraries take so many times as long as SciPy's."""

    def seconds(layout):
        return seconds_per_unit(KINDS[kind], n_cores, layout) * factors[layout.blas]

    layouts = candidates(SimpleNamespace(n_cores=n_cores), chains, blas=tuple(factors))
    job, simulated = Job(chains, n_cores), Machine(seconds, noise=0.05, seed=seed)
    found = search(simulated.measure, layouts, job, budget_s=20.0, clock=simulated.clock, seed=seed)
    best = choose(found.rounds, job).best
    fits = [layout for layout in layouts if not job.is_oversubscribed(layout)]
    least = min(job.cost(layout, seconds(layout)) for layout in fits)
    of_scipy = min(job.cost(layout, seconds(layout)) for layout in fits if layout.blas is None)
    cost = job.cost(best, seconds(best))
    return found, best, cost / least - 1.0, cost / of_scipy - 1.0, simulated.now_s


def test_losers_are_out_after_one_chain_with_one_thread():
    found, best, *_ = of_libraries({None: 1.0, "mkl": 0.5, "blis": 1.6})
    assert best.blas == "mkl"
    assert {m.layout for m in found.measurements if m.layout.blas == "blis"} == {Layout(1, 1, "blis")}
    assert sum(m.layout.blas == "blis" for m in found.measurements) <= 4
    # SciPy's stays, so that the gain is known for the whole job.
    assert {m.layout.chains_at_once for m in found.measurements if m.layout.blas is None} >= {1, 8}


def test_a_tie_goes_to_scipys():
    _, best, *_ = of_libraries({None: 1.0, "openblas": 0.995})
    assert best.blas is None


def test_where_cores_are_left_for_threads_a_library_may_win_with_these():
    def seconds(layout):
        threads = 1.4 / layout.blas_threads if layout.blas == "mkl" else 1.0
        return 0.01 * threads

    layouts = candidates(SimpleNamespace(n_cores=8), 4, blas=(None, "mkl"))
    simulated, job = Machine(seconds), Job(4, 8)
    found = search(simulated.measure, layouts, job, budget_s=20.0, clock=simulated.clock)
    assert choose(found.rounds, job).best == Layout(4, 2, "mkl")


@pytest.mark.parametrize("n_cores, chains", [(2, 4), (8, 4), (8, 8), (64, 16)])
def test_with_libraries_the_choice_is_near_the_best_of_all_and_never_behind_scipys(n_cores, chains):
    regrets, behind = [], []
    for seed in range(12):
        rng = np.random.default_rng([seed, n_cores, chains])
        factors = {None: 1.0} | dict(zip(("mkl", "blis"), np.exp(rng.normal(0.0, 0.4, size=2)), strict=True))
        kind = rng.choice(list(KINDS))
        _, _, regret, against, spent_s = of_libraries(factors, kind, n_cores, chains, seed=seed)
        assert spent_s <= 30.0
        regrets.append(regret)
        behind.append(against)
    assert np.median(regrets) <= 0.01 and np.quantile(regrets, 0.9) <= 0.05
    assert max(behind) <= 0.05


def test_on_a_busy_machine_another_library_has_to_win_by_a_fifth():
    own, other = Layout(2), Layout(2, 1, "mkl")
    for gain, winner in ((1.1, own), (1.5, other)):
        rounds = [{own: gain * factor, other: factor} for factor in (1.0, 1.2, 0.9, 1.1)]
        assert choose(rounds, Job(4, 2), busy=True).best == winner
        assert choose(rounds, Job(4, 2)).best == other
