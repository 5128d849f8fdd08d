"""The decision: waves, ties, more than one BLAS thread only by measurement, busy machines."""

import numpy as np
import pytest

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job
from nutmill.layout.search.choose import choose, compare, ranking

JOB = Job(chains=4, n_cores=8)
ONE_THREAD, TWO_THREADS = Layout(4, 1), Layout(4, 2)
MKL = Layout(4, 2, "mkl")


def rounds(times, n=6):
    """Rounds in which each layout takes its time, and all are slowed alike, as by others who use the machine."""
    drift = np.exp(np.random.default_rng(1).normal(0.0, 0.5, n))
    return [{layout: seconds * float(slow) for layout, seconds in times.items()} for slow in drift]


def test_the_fastest_job_is_chosen_not_the_fastest_chain_nor_the_most_throughput():
    # 5 chains: 4 at once have the most throughput (4 / 1.25 = 3.2 a second), 3 at once end the job first.
    times = {Layout(1): 0.7, Layout(3): 1.0, Layout(4): 1.25}
    job = Job(chains=5, n_cores=4)
    assert max(times, key=lambda layout: layout.chains_at_once / times[layout]) == Layout(4)
    assert min(times, key=times.get) == Layout(1)
    assert choose(rounds(times), job).best == Layout(3)


def test_core_hours_choose_fewer_cores():
    times = {Layout(1, 1): 1.0, Layout(1, 4): 0.5, Layout(4, 1): 1.1, Layout(4, 2): 0.7}
    assert choose(rounds(times), JOB).best == Layout(4, 2)
    assert choose(rounds(times), JOB._replace(objective="core_hours")).best == Layout(1, 1)


@pytest.mark.parametrize(
    "gain, best", [(-0.1, ONE_THREAD), (0.0, ONE_THREAD), (0.02, ONE_THREAD), (0.04, TWO_THREADS), (0.5, TWO_THREADS)]
)
def test_ties_go_to_one_thread(gain, best):
    assert choose(rounds({TWO_THREADS: 1.0, ONE_THREAD: 1.0 + gain}), JOB).best == best


@pytest.mark.parametrize("gain, best", [(0.04, ONE_THREAD), (0.18, ONE_THREAD), (0.22, TWO_THREADS)])
def test_a_busy_machine_asks_for_a_fifth(gain, best):
    choice = choose(rounds({TWO_THREADS: 1.0, ONE_THREAD: 1.0 + gain}), JOB, busy=True)
    assert choice.best == best
    assert choice.confidence == "low"
    assert ("20 %" in " ".join(choice.notes)) == (best == ONE_THREAD)


def test_few_rounds_ask_for_a_fifth():
    for gain, best in ((0.15, ONE_THREAD), (0.25, TWO_THREADS)):
        choice = choose(rounds({TWO_THREADS: 1.0, ONE_THREAD: 1.0 + gain}, n=2), JOB)
        assert (choice.best, choice.confidence) == (best, "low")


def test_busy_machines_ask_for_it_only_against_fewer_threads():
    assert choose(rounds({Layout(4, 1): 1.0, Layout(2, 1): 0.55}), JOB, busy=True).best == Layout(4, 1)


@pytest.mark.parametrize("gain, at_once", [(-0.1, 4), (0.03, 4), (0.18, 4), (0.22, 2)])
def test_a_busy_machine_has_as_many_chains_at_once_as_cores_unless_fewer_win_by_a_fifth(gain, at_once):
    job = Job(chains=4, n_cores=4)
    found = rounds({Layout(2): 0.5, Layout(4): 1.0 + gain, Layout(1): 0.9})
    choice = choose(found, job, busy=True)
    assert (choice.best, choice.confidence) == (Layout(at_once), "low")
    assert ("2 chains x 1 BLAS thread measured faster" in " ".join(choice.notes)) == (gain > 0.0 and at_once == 4)
    # On a quiet machine what was measured is believed, and cores that idle cost nothing where cores are paid for.
    assert choose(found, job).best == Layout(4 if gain <= 0.0 else 2)
    assert choose(found, job._replace(objective="core_hours"), busy=True).best == Layout(2)


def test_a_gain_by_chance_does_not_do():
    found = [{TWO_THREADS: 1.0, ONE_THREAD: s} for s in (1.3, 1.2, 1.1, 1.05, 0.9, 0.85)]
    interval = compare(ONE_THREAD, TWO_THREADS, found, JOB)
    assert interval.estimate > 1.03 and interval.low < 1.0  # what the test is about
    choice = choose(found, JOB)
    assert choice.best == ONE_THREAD
    assert "more than chance" in choice.notes[0]


def test_ties_go_to_fewer_threads_then_to_scipys_blas():
    times = {Layout(2, 4): 0.49, MKL: 0.98, TWO_THREADS: 1.005, ONE_THREAD: 2.0}
    assert choose(rounds(times), JOB).best == TWO_THREADS
    del times[TWO_THREADS]
    assert choose(rounds(times), JOB).best == MKL


def test_another_blas_wins_by_more_than_a_tie():
    assert choose(rounds({MKL: 1.0, TWO_THREADS: 1.05, ONE_THREAD: 1.5}), JOB).best == MKL


def test_drift_does_not_count():
    found = rounds({TWO_THREADS: 1.0, ONE_THREAD: 1.1}, n=5)
    assert max(times[TWO_THREADS] for times in found) > min(times[ONE_THREAD] for times in found)
    assert compare(ONE_THREAD, TWO_THREADS, found, JOB) == pytest.approx((1.1, 1.1, 1.1))
    assert ranking(found, JOB) == [TWO_THREADS, ONE_THREAD]


def test_what_was_dropped_stays_beaten():
    # One wild value in the four rounds before it was dropped must not bring it back.
    found = rounds({TWO_THREADS: 1.0, ONE_THREAD: 3.0, MKL: 1.2}, n=12)
    found[1][TWO_THREADS] *= 16.0
    for times in found[4:]:
        del times[ONE_THREAD]
    assert compare(ONE_THREAD, TWO_THREADS, found, JOB).low < 1.0
    assert choose(found, JOB).best == TWO_THREADS


def test_the_runner_up_decides_the_confidence():
    choice = choose(rounds({ONE_THREAD: 1.0, Layout(2): 0.6, Layout(1): 0.9}), JOB)
    assert (choice.best, choice.runner_up, choice.confidence) == (ONE_THREAD, Layout(2), "high")
    assert choice.margin == pytest.approx((1.2, 1.2, 1.2))
    assert choose(rounds({ONE_THREAD: 1.0, Layout(2): 0.6}, n=2), JOB).confidence == "low"
    unsure = [{ONE_THREAD: 1.0, Layout(2): s} for s in (0.4, 0.42, 0.45, 0.55, 0.65, 0.7)]
    assert choose(unsure, JOB).confidence == "low"


def test_a_single_layout_is_chosen():
    choice = choose([{ONE_THREAD: 1.0}], JOB)
    assert (choice.best, choice.runner_up, choice.margin, choice.confidence) == (ONE_THREAD, None, None, "high")
