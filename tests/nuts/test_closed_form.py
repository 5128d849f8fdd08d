"""Whole runs, warmup included, on targets whose moments are known."""

import numpy as np
import pytest
from assertions import assert_mean, assert_mean_and_variance
from targets import Target, native, scale, starts

from nutmill.run.checkpoints import Starts
from nutmill.run.driver import drive
from nutmill.run.run import Settings


def sample(target: Target, n_dim: int, seed: int, n_chains: int = 4, **settings) -> np.ndarray:
    points = starts(target, n_chains, n_dim, seed)
    run = drive([native(target, n_dim)], Starts(points, seed), Settings(**settings), threads=2)
    assert run.messages == []
    return run.draws


@pytest.mark.parametrize(("n_dim", "n_draws"), [(1, 2000), (10, 2000), (1000, 300)])
def test_standard_normal(n_dim, n_draws, seed):
    draws = sample(Target.NORMAL, n_dim, seed, draws=n_draws)
    for i in (0, n_dim // 2, n_dim - 1):
        assert_mean_and_variance(draws[:, :, i], 0.0, 1.0)
    assert_mean((draws**2).sum(axis=2), n_dim)


@pytest.mark.parametrize("n_chains", [1, 2, 3, 5, 8])
def test_any_number_of_chains(n_chains, seed):
    draws = sample(Target.SCALED, 5, seed, n_chains, draws=1000)
    assert draws.shape == (n_chains, 1000, 5)
    for i in range(5):
        assert_mean_and_variance(draws[:, :, i] / scale(i, 5), 0.0, 1.0)


def test_correlated_gaussian(seed):
    draws = sample(Target.AUTOREGRESSIVE, 10, seed, draws=2000)
    for i in range(10):
        assert_mean_and_variance(draws[:, :, i], 0.0, 1.0)
    for lag in (1, 5, 9):
        assert_mean(draws[:, :, 0] * draws[:, :, lag], 0.9**lag)


def test_student_t(seed):
    draws = sample(Target.STUDENT, 5, seed, draws=2000)
    for i in range(5):
        assert_mean(draws[:, :, i], 0.0)
        # Moments of a bounded function: the fourth moment of a t with 5 degrees of freedom is too wild.
        assert_mean(np.abs(draws[:, :, i]) < 0.7266868, 0.5)
        assert_mean(np.abs(draws[:, :, i]) > 2.0150484, 0.1)


def test_funnel_in_its_non_centred_form(seed):
    # Independent normals of different scales; the centred parameters are functions of the draws.
    draws = sample(Target.NORMAL, 5, seed, draws=2000)
    log_scale = 3.0 * draws[:, :, 0]
    centred = np.exp(0.5 * log_scale[:, :, None]) * draws[:, :, 1:]
    assert_mean(log_scale < -5.0, 0.04779035)
    assert_mean_and_variance(log_scale, 0.0, 9.0)
    assert_mean(np.sign(centred[:, :, 0]) * np.sign(centred[:, :, 1]), 0.0)


def test_a_boundary_is_kept(seed):
    draws = sample(Target.HALF_NORMAL, 2, seed, draws=2000)
    assert (draws[:, :, 0] >= 0.0).all()
    assert_mean(draws[:, :, 0], np.sqrt(2.0 / np.pi))
    assert_mean_and_variance(draws[:, :, 1], 0.0, 1.0)
