"""The stages of warmup, for the lengths that users ask for."""

import numpy as np
import pytest

from nutmill.nuts.warmup.schedule import epoch_ends, terminal_draws, warmup_schedule


def test_epochs_grow_as_specified():
    expected = [4, 6, 8, 11, 15, 20, 27, 36, 49, 66, 89, 120, 162, 219, 296, 400, 540, 729, 950]
    assert epoch_ends(950) == expected


@pytest.mark.parametrize("tune", [0, 1, 2, 3, 5, 10, 20, 50, 100, 400, 1000, 5000])
def test_fixed_length_is_exact(tune):
    schedule = warmup_schedule(tune, 10, 0.8)
    assert schedule["n_draws"].sum() == tune
    assert (schedule["n_draws"] > 0).all()
    assert not schedule["may_stop"].any()
    assert schedule["is_terminal"].sum() == (tune > 0)
    if tune > 0:
        assert schedule["is_terminal"][-1]
        assert schedule["n_draws"][-1] == terminal_draws(tune)


@pytest.mark.parametrize(("tune", "terminal"), [(1, 1), (10, 5), (30, 15), (40, 20), (100, 20), (400, 60), (1000, 150)])
def test_terminal_stage_has_its_share(tune, terminal):
    assert terminal_draws(tune) == terminal


def test_chains_may_agree_from_eighty_draws_on():
    schedule = warmup_schedule(None, 10, 0.8)
    ends = np.cumsum(schedule["n_draws"])
    np.testing.assert_array_equal(ends[schedule["is_terminal"]], [1000, 1100, 1200])
    np.testing.assert_array_equal(schedule["may_stop"], (ends >= 80) & ~schedule["is_terminal"])


def test_terminal_stages_aim_higher_each_time():
    schedule = warmup_schedule(None, 10, 0.6)
    np.testing.assert_allclose(schedule["target_accept"][-3:], [0.6, 0.8, 0.9])
    assert (schedule["target_accept"][:-3] == 0.6).all()


@pytest.mark.parametrize(("tune", "early_end"), [(None, 120), (1000, 120), (400, 120), (100, 27), (10, 0)])
def test_early_trajectories_are_short(tune, early_end):
    schedule = warmup_schedule(tune, 10, 0.8)
    ends = np.cumsum(schedule["n_draws"])
    np.testing.assert_array_equal(schedule["max_treedepth"], np.where(ends <= early_end, 7, 10))
    assert (warmup_schedule(tune, 5, 0.8)["max_treedepth"] == 5).all()
