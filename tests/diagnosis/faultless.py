"""Draws without a fault, which tests spoil in one way each."""

import numpy as np

from nutmill.diagnosis.verdict import judge
from nutmill.results.trace import SAMPLE_STATS, Draws, ModelData, to_arviz

N_CHAINS, N_DRAWS = 4, 500
MODEL = ModelData(coords={"school": ("Choate", "Deerfield")}, dims={"theta": ("school",)})


def good_stats(shape, seed=1):
    """Sample stats of chains without a fault."""
    rng = np.random.default_rng(seed)
    stats = np.zeros(shape, list(SAMPLE_STATS.items()))
    stats["energy"] = rng.normal(size=shape)
    stats["lp"] = -rng.chisquare(5, size=shape) / 2
    return stats


def good_posterior(shape, seed=2):
    """Independent draws of a scalar and a vector."""
    rng = np.random.default_rng(seed)
    return {"mu": rng.normal(size=shape), "theta": rng.normal(size=(*shape, 2))}


def kinds(posterior=None, stats=None, shape=(N_CHAINS, N_DRAWS), var_names=None):
    """Check draws, and give the findings by kind."""
    posterior = good_posterior(shape) if posterior is None else posterior
    stats = good_stats(shape) if stats is None else stats
    data = to_arviz(Draws(posterior, stats), MODEL)
    findings = judge(data, var_names=var_names).findings
    assert len({finding.kind for finding in findings}) == len(findings)
    return {finding.kind: finding for finding in findings}
