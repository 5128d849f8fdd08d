"""Comparisons of draws with what is known of them, in standard errors, after a look at the sample size.

Whoever compares draws takes the fixture `seed` (tests/conftest.py) and must hold for each: docs/testing.md.
"""

import numpy as np
from scipy import stats

# Two-sided, one comparison in 150 000 fails by chance, and so less than one test in a thousand.
MAX_Z = 4.5
MIN_P = 1e-5


def effective_sample_size(draws: np.ndarray) -> float:
    """Estimate the effective sample size of a mean from (chains, n) draws by Geyer's monotone sequence."""
    n_chains, n = draws.shape
    centred = draws - draws.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred, 2 * n, axis=1)) ** 2
    covariance = np.fft.irfft(spectrum, axis=1)[:, :n].mean(axis=0) / n
    variance = covariance[0] + (draws.mean(axis=1).var(ddof=1) if n_chains > 1 else 0.0)
    correlation = 1.0 - (covariance[0] - covariance) / variance
    pairs = correlation[: n - n % 2].reshape(-1, 2).sum(axis=1)
    positive = pairs[: np.argmax(pairs < 0.0)] if (pairs < 0.0).any() else pairs
    time = 2.0 * np.minimum.accumulate(positive).sum() - 1.0
    return n_chains * n / max(time, 1.0 / np.log10(n_chains * n))


def standard_error(draws: np.ndarray, min_ess: float = 200.0) -> float:
    """Estimate the standard error of the mean of (chains, n) draws; too few effective ones fail the test."""
    ess = effective_sample_size(draws)
    assert ess >= min_ess, f"effective sample size {ess:.0f} is too small to say anything"
    return draws.std() / np.sqrt(ess)


def assert_mean(draws: np.ndarray, expected: float, min_ess: float = 200.0) -> None:
    """Compare the mean of (chains, n) draws of anything with its expectation."""
    z = (draws.mean() - expected) / standard_error(draws, min_ess)
    assert abs(z) < MAX_Z, f"mean {draws.mean():.5g} is {z:.1f} standard errors from {expected:.5g}"


def assert_same_mean(first: np.ndarray, second: np.ndarray) -> None:
    """Compare the means of two independent samples, each of (chains, n) draws."""
    z = (first.mean() - second.mean()) / np.hypot(standard_error(first), standard_error(second))
    assert abs(z) < MAX_Z, f"means {first.mean():.5g} and {second.mean():.5g} are {z:.1f} standard errors apart"


def assert_mean_and_variance(draws: np.ndarray, mean: float, variance: float, min_ess: float = 200.0) -> None:
    """Compare the first two moments of (chains, n) draws with the true ones."""
    assert_mean(draws, mean, min_ess)
    assert_mean((draws - mean) ** 2, variance, min_ess)


def assert_distribution(independent: np.ndarray, cdf) -> None:
    """Compare independent draws (n,) with a distribution function by Kolmogorov and Smirnov's test."""
    result = stats.kstest(independent, cdf)
    assert result.pvalue > MIN_P, f"p = {result.pvalue:.2g}, largest distance at {result.statistic_location:.4g}"
