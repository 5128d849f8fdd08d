"""Simulation-based calibration: ranks of true parameters among draws are uniform."""

import numpy as np
import pytest
from assertions import MIN_P
from scipy import stats

from benchmarks.validation.calibration import EXPERIMENTS, N_RANKS, ranks

pytestmark = pytest.mark.slow

N_BINS = 16


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_ranks_are_uniform(name):
    for scalar, rank in ranks(EXPERIMENTS[name], seed=20261122).items():
        counts = np.bincount(rank * N_BINS // (N_RANKS + 1), minlength=N_BINS)
        assert stats.chisquare(counts).pvalue > MIN_P, f"{scalar}: {counts}"
        # A shift of all ranks, which many bins see late.
        z = (rank.mean() - N_RANKS / 2) / (np.sqrt(((N_RANKS + 1) ** 2 - 1) / 12) / np.sqrt(len(rank)))
        assert abs(z) < 4.5, f"{scalar}: mean rank {rank.mean():.1f}"
