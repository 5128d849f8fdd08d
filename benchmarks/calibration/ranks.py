"""Simulation-based calibration: ranks of true parameters among draws are uniform (Talts et al. 2018).

Beside the parameters the log density is ranked, which depends on all of them and on the data (Modrak et al. 2023).
"""

from typing import NamedTuple

import numpy as np

from benchmarks.calibration.experiments import Experiment
from nutmill import CompiledModel, compile_model, sample_numba
from nutmill.diagnosis.posterior_scalars import scalar_facts
from nutmill.results.trace import group

N_DATA_SETS, N_CHAINS = 400, 4
# Draws among which a truth is ranked: so many, evenly spaced, of all chains together.
N_RANKS = 64
# Effective draws that there must be for each: fewer are correlated. A run is repeated twice as long until there are.
_ESS, _DRAWS, _MOST_DRAWS = 3 * N_RANKS, 160, 2560


class Calibration(NamedTuple):
    """What the runs of one experiment gave.

    Attributes
    ----------
    ranks : dict of (n_data_sets,) int
        Of the truth among draws, from 0 to N_RANKS, by the name of a scalar.
    n_slow : int
        Runs that were not long enough at their longest.
    n_divergences : int
        Of all runs.
    """

    ranks: dict[str, np.ndarray]
    n_slow: int
    n_divergences: int


def calibrate(experiment: Experiment, seed: int, n_data_sets: int = N_DATA_SETS) -> Calibration:
    """Rank truths among draws, with everything at defaults; the model is compiled once."""
    compiled = compile_model(experiment.model())
    found, n_slow, n_divergences = {}, 0, 0
    for number, stream in enumerate(np.random.SeedSequence(seed).spawn(n_data_sets)):
        truth, data = experiment.simulate(np.random.default_rng(stream))
        bound = compiled.with_data(**data)
        assert bound.code is compiled.code
        result, is_slow = _draws(bound, number)
        stats = group(result, "sample_stats")
        n_slow, n_divergences = n_slow + is_slow, n_divergences + int(stats["diverging"].values.sum())
        place = bound.starts(truth, 1, number, jitter=False)[0]
        pairs = [(name, group(result, "posterior")[name].values, value) for name, value in truth.items()]
        for name, values, value in [*pairs, ("log density", stats["lp"].values, bound.logp_dlogp(place)[0])]:
            below = (values[:, :: values.shape[1] * N_CHAINS // N_RANKS] < value).sum(axis=(0, 1))
            for index in np.ndindex(np.shape(value)):
                found.setdefault(f"{name}{list(index) or ''}", []).append(int(below[index]))
    return Calibration({name: np.array(values) for name, values in found.items()}, n_slow, n_divergences)


def _draws(bound: CompiledModel, seed: int):
    """Sample; tell whether the longest run was too short."""
    draws = _DRAWS
    while True:
        result = sample_numba(
            bound,
            draws=draws,
            chains=N_CHAINS,
            cores=1,
            random_seed=seed,
            progressbar=False,
            compute_convergence_checks=False,
        )
        mixed = scalar_facts(group(result, "posterior"), address=bound.code.address("mixing")).mixed
        is_slow = min(mixed.ess_bulk.min(), mixed.ess_tail.min()) < _ESS
        if not is_slow or draws == _MOST_DRAWS:
            return result, bool(is_slow)
        draws *= 2
