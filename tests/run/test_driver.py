"""The driver: draws that do not depend on how they were driven, interrupts, progress, errors."""

import ctypes
import itertools
import signal
import time

import numpy as np
import pytest
from targets import Target, native, starts

from nutmill.errors import SamplingError
from nutmill.run.checkpoints import Starts
from nutmill.run.driver import drive
from nutmill.run.run import Settings

SETTINGS = Settings(draws=150, keep_warmup=True, keep_divergences=True)


def run_chains(n_chains=4, target=Target.HALF_NORMAL, settings=SETTINGS, seed=5, threads=2, **options):
    return drive([native(target, 3)], Starts(starts(target, n_chains, 3), seed), settings, threads=threads, **options)


@pytest.fixture(scope="module")
def reference():
    return run_chains()


def assert_same(run, reference, n_chains=4):
    for field in ("draws", "statistics", "warmup_draws", "warmup_statistics"):
        # Field by field: the padding of records is not theirs to keep.
        np.testing.assert_array_equal(getattr(run, field)[:n_chains], getattr(reference, field)[:n_chains])
    for found, expected in zip(run.divergences, reference.divergences, strict=False):
        np.testing.assert_array_equal(found.records, expected.records)
        np.testing.assert_array_equal(found.points, expected.points)


def test_the_target_is_worth_the_test(reference):
    assert reference.draws.shape == (4, 150, 3)
    assert sum(len(chain.records) for chain in reference.divergences) > 3  # half of the plane has density 0
    assert len(np.unique(reference.adaptation.step_size)) <= 4


def test_the_target_that_warmup_settled_for_is_reported(reference):
    """Twice halfway to 1, because draws always diverge; as asked for where the length of warmup is fixed."""
    np.testing.assert_allclose(reference.warmup.target_accept, np.full(4, 0.95))
    for tune in (0, 30):
        fixed = run_chains(settings=SETTINGS._replace(draws=5, tune=tune))
        assert fixed.warmup.target_accept.tolist() == [0.8] * 4


@pytest.mark.parametrize(
    "options",
    [{}, {"threads": 1}, {"threads": 4}, {"block_draws": 1}, {"block_draws": 100}, {"interval_s": 0.001}],
)
def test_draws_do_not_depend_on_threads_and_blocks(reference, options):
    assert_same(run_chains(**options), reference)


def two_and_two(target=Target.LESSER_MODE, **options):
    """Run two chains that begin in a mode without mass, and two in the one that has it all."""
    model, (mine, theirs) = native(target, 3), (-20.0, 20.0)
    points = starts(target, 4, 3) + np.array([mine, mine, theirs, theirs])[:, None]
    return drive([model], Starts(points, 5), SETTINGS, **options)


def test_chains_that_leave_a_lesser_mode_leave_it_at_the_same_draw_however_they_are_driven():
    first = two_and_two(threads=1)
    assert (first.warmup.restarted_at[:2] > 0).all() and (first.draws[:, :, 0] > 0.0).all()
    for options in ({"threads": 2, "block_draws": 7}, {"threads": 4, "interval_s": 0.001}):
        again = two_and_two(**options)
        assert_same(again, first)
        np.testing.assert_array_equal(again.warmup.restarted_at, first.warmup.restarted_at)


def test_a_chain_that_only_started_far_away_is_not_said_to_have_left_a_mode():
    lesser, least = two_and_two(threads=2), two_and_two(Target.LEAST_MODE, threads=2)
    assert (least.warmup.restarted_at[:2] > 0).all()
    assert [message[:38] for message in lesser.messages] == ["Chains 0, 1 had settled in a lesser mo"]
    assert least.messages == []


def test_draws_do_not_depend_on_timing(reference):
    model, rng = native(Target.HALF_NORMAL, 3), np.random.default_rng(0)
    call = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 4)

    @call
    def late(group, chain, n_draws, data):
        time.sleep(rng.exponential(0.002))
        return call(model.advance)(group, chain, n_draws, data)

    late_model = model._replace(advance=ctypes.cast(late, ctypes.c_void_p).value)
    run = drive([late_model], Starts(starts(Target.HALF_NORMAL, 4, 3), 5), SETTINGS, threads=4, block_draws=10)
    assert_same(run, reference)


def test_eight_chains_hold_the_run_of_four(reference):
    # Starts of the first four are the same; each group of four is a world of its own.
    points = np.concatenate([starts(Target.HALF_NORMAL, 4, 3), starts(Target.HALF_NORMAL, 4, 3, seed=1)])
    eight = drive([native(Target.HALF_NORMAL, 3)], Starts(points, 5), SETTINGS, threads=3)
    assert eight.draws.shape == (8, 150, 3)
    n_warmup = reference.warmup.n_draws[0]
    assert eight.warmup.n_draws[:4].tolist() == [n_warmup] * 4
    assert eight.draws[:4].tobytes() == reference.draws.tobytes()
    second = drive([native(Target.HALF_NORMAL, 3)], Starts(points[4:], 5, [4, 5, 6, 7]), SETTINGS, threads=2)
    assert eight.draws[4:].tobytes() == second.draws.tobytes()


def test_seed_and_chain_id_matter(reference):
    assert not np.array_equal(run_chains(seed=6).draws, reference.draws)
    firsts = [chain[0] for chain in reference.draws]
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(firsts, 2))


@pytest.mark.parametrize("n_chains", [1, 2, 3, 5, 8])
def test_any_number_of_chains_and_fixed_warmup(n_chains):
    run = run_chains(n_chains, settings=SETTINGS._replace(tune=70), threads=1)
    assert run.draws.shape == (n_chains, 150, 3)
    assert run.warmup_draws.shape == (n_chains, 70, 3)
    assert run.warmup.n_draws.tolist() == [70] * n_chains
    assert run.chain_ids == list(range(n_chains))
    assert run.n_gradients.min() > 220
    assert not run.interrupted


def test_nothing_is_kept_that_was_not_asked_for():
    run = run_chains(settings=Settings(draws=20, tune=10))
    assert (run.warmup_draws, run.warmup_statistics, run.divergences) == (None, None, None)


def test_progress_counts_up_to_the_end():
    rows = []
    run = run_chains(settings=SETTINGS._replace(draws=400), interval_s=0.0, block_draws=20, on_progress=rows.append)
    assert [row.chain for row in rows[0]] == [0, 1, 2, 3]
    for chain, (before, after) in itertools.product(range(4), itertools.pairwise(rows)):
        assert after[chain].phase != "warmup" or before[chain].phase == "warmup"
        if after[chain].phase == before[chain].phase:
            assert after[chain].draw >= before[chain].draw
            assert after[chain].n_gradients >= before[chain].n_gradients
    warmup = [row[0] for row in rows if row[0].phase == "warmup"]
    assert warmup
    assert all(row.total is None for row in warmup)
    for chain, row in enumerate(rows[-1]):
        assert (row.phase, row.draw, row.total) == ("done", 400, 400)
        assert row.n_gradients == run.statistics[chain]["n_steps"].sum()
        assert row.divergences == run.statistics[chain]["diverging"].sum()
        assert row.step_size == pytest.approx(run.adaptation.step_size[chain])


def test_fixed_warmup_knows_its_total():
    rows = []
    settings = Settings(draws=10, tune=2000)
    run_chains(settings=settings, interval_s=0.0, on_progress=rows.append)
    assert rows[0][0].total == 2000


def interrupt_when(condition):
    """Return a progress function that presses Ctrl-C once, when the condition holds."""
    pressed = []

    def on_progress(rows):
        if not pressed and condition(rows):
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)

    return on_progress


def test_interrupt_in_sampling_keeps_what_all_chains_have(reference):
    on_progress = interrupt_when(lambda rows: all(row.phase == "sampling" and row.draw > 200 for row in rows))
    settings = SETTINGS._replace(draws=2_000_000)
    run = run_chains(6, settings=settings, interval_s=0.0, on_progress=on_progress)
    assert run.interrupted
    n_draws = run.draws.shape[1]
    assert 200 < n_draws < 2_000_000
    assert run.statistics.shape == (6, n_draws)
    assert run.draws[:4, :150].tobytes() == reference.draws.tobytes()
    assert np.isfinite(run.draws).all()
    for chain, divergences in enumerate(run.divergences):
        np.testing.assert_array_equal(divergences.records["draw"], np.flatnonzero(run.statistics[chain]["diverging"]))


def test_interrupt_in_warmup_keeps_nothing():
    on_progress = interrupt_when(lambda rows: rows[0].draw > 100)
    settings = Settings(draws=10, tune=1_000_000, keep_warmup=True)
    run = run_chains(settings=settings, interval_s=0.0, on_progress=on_progress)
    assert run.interrupted
    assert run.draws.shape == (4, 0, 3)
    assert run.warmup_draws.shape[1] > 0
    assert np.isfinite(run.warmup_draws).all()


def test_start_without_density_is_refused():
    with pytest.raises(SamplingError, match="Chain 0 cannot start: the log density or its gradient is not finite"):
        drive([native(Target.NOWHERE, 2)], Starts(np.zeros((1, 2)), 0), SETTINGS, threads=1)


def test_chain_that_must_stop_is_named():
    points = np.zeros((2, 2))
    with pytest.raises(SamplingError, match=r"Chain [01] had to stop: the arrays of the data do not fit"):
        drive([native(Target.STOPS, 2)], Starts(points, 0), Settings(draws=100_000), threads=2)


def test_stuck_chain_is_reported(seed):
    points = starts(Target.NORMAL, 4, 2, seed)
    points[3] = 1e6
    run = drive([native(Target.NORMAL, 2)], Starts(points, seed), Settings(draws=10, tune=12), threads=2)
    assert not run.warmup.admitted[3]
    assert len(run.messages) == 1
    assert run.messages[0].startswith("Chain 3 ended warmup in a region of much lower density")


@pytest.mark.parametrize("in_neck", [[3], [0, 3]], ids=str)
def test_chain_in_a_neck_is_reported(in_neck, seed):
    points = starts(Target.NECK, 4, 101, seed)
    points[in_neck, 0], points[in_neck, 1:] = np.log(1e-5), 1e-5 * points[in_neck, 1:]
    run = drive([native(Target.NECK, 101)], Starts(points, seed), Settings(draws=10, tune=100), threads=2)
    assert np.flatnonzero(~run.warmup.admitted).tolist() == in_neck
    assert len(run.messages) == len(in_neck)
    for chain, message in zip(in_neck, run.messages, strict=True):
        assert message.startswith(f"Chain {chain} ended warmup in a region of much larger gradients")


def test_disagreement_is_reported(seed):
    points = np.array([[-20.0, 0.0], [20.0, 0.0]])
    run = drive([native(Target.TWO_MODES, 2)], Starts(points, seed), Settings(draws=10), threads=2)
    assert run.warmup.n_draws.min() >= 1000  # and 100 more where a draw of its last stage diverged
    assert len(run.messages) == 1
    assert run.messages[0].startswith("Chains 0, 1 did not agree in 1000 draws of warmup")


def test_times_of_the_phases_add_up(reference):
    seconds = reference.seconds
    assert seconds.warmup_wall > 0.0
    assert seconds.sampling_wall > 0.0
    assert 0.0 < seconds.warmup_cpu < 10.0
    assert 0.0 < seconds.sampling_cpu < 10.0
