"""Simulation-based calibration: ranks of true parameters among posterior draws are uniform (Talts et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nutmill.errors import ArgumentError
from nutmill.many.all_fits import Plan, ReportOfFits, layout_of_fits, rows_of
from nutmill.many.datasets import data_sets
from nutmill.many.fitting import Fit, Fitter, options_of_fits
from nutmill.many.keeping import FITS, Arrays, Groups
from nutmill.many.rank_bands import p_value
from nutmill.sampling.request import Seed, checked_count, checked_request
from nutmill.sampling.sample import compiled_of, with_coordinates

if TYPE_CHECKING:
    import xarray as xr

    from nutmill.model.simulating import Simulation

# Draws among which a truth is ranked: so many, evenly spaced, of all chains together.
N_RANKS = 64
# Effective draws that there must be for each of them: fewer are correlated, and ranks pile up at both ends.
_ESS = 3 * N_RANKS
LOG_DENSITY = "log_density"


def sbc(
    model: Any,
    n: int = 1000,
    *,
    draws: int = 250,
    chains: int = 4,
    tune: int | None = None,
    target_accept: float = 0.8,
    cores: int | None = None,
    random_seed: Seed = None,
    simulate_from: Any = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Check a model and its sampling by simulation: where all is well, true parameters look like draws.

    Parameters are drawn from the prior, data from them, and the model is fitted to these. Then the ranks of the true
    values among the draws are uniform. Beside the parameters the log density is ranked, which depends on all of them
    and on the data (Modrak et al. 2023).

    Parameters
    ----------
    model : pm.Model
        With proper priors and without potentials.
    n : int
        Data sets.
    draws, chains, tune, target_accept, cores
        Of each fit, as in `sample_many`. A truth is ranked among 64 draws, evenly spaced.
    random_seed
        As in `sample_many`; data depend on it too.
    simulate_from : pm.Model, optional
        Another model to draw parameters and data from, of the same variables: to see what a wrong model looks like.
    progressbar
        Say on stderr how far the fits are.

    Returns
    -------
    xarray.DataTree
        Group ``prior_sbc``: the place of each truth among the draws, between 0 and 1, ranks made continuous by chance;
        ArviZ's `plot_ecdf_pit` shows it. Group ``p_value``: of each parameter how often ranks of a calibrated fit stray
        as far; its attribute ``least`` is the least of all, times their number. Group ``fits`` as in `sample_many`,
        with ``too_few`` where there are fewer than three effective draws for each that is ranked.

    Raises
    ------
    ArgumentError
        If an argument cannot be used.
    ModelError
        If data cannot be simulated from the model, or a fit fails.
    SamplingError
        If a chain has to stop.
    """
    options, n = options_of_fits(locals()), checked_count("n", n, 1)
    from nutmill.model.simulating import simulations  # brings PyMC

    request = checked_request(**options)
    if request.draws * request.chains < N_RANKS:
        raise ArgumentError(f"Truths are ranked among {N_RANKS} draws: take at least that many, all chains together.")
    made = list(simulations(model if simulate_from is None else simulate_from, n, request.seed))
    compiled = compiled_of(model, progressbar=progressbar)
    fitter = Fitter(compiled, with_coordinates(request, compiled))
    plan = Plan(fitter, _ranker(made), True, layout_of_fits(request))
    from nutmill.many.gathered import Gathered

    gathered, report = Gathered(), ReportOfFits(progressbar, n)
    for data, row in rows_of(plan, data_sets(simulation.data for simulation in made)):
        gathered.add(data.key, row)
        report.take(row)
    report.end()
    return _tree(gathered.groups(), compiled.description, request.seed)


def _ranker(made: list[Simulation]):
    """Make what keeps of each fit the ranks of its truth."""

    def ranks(fit: Fit, summaries: Arrays) -> Groups:
        simulation = made[fit.number]
        position = np.concatenate([np.ravel(simulation.pieces[name]) for name in fit.model.description.names])
        truth = {**simulation.truth, LOG_DENSITY: np.array(fit.model.logp_dlogp(position)[0])}
        drawn = {**fit.draws, LOG_DENSITY: fit.statistics["lp"]}
        return {"ranks": {name: _rank(drawn[name], value) for name, value in truth.items() if name in drawn}}

    return ranks


def _rank(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count which of `N_RANKS` draws, evenly spaced, are below the truth: the shape of the truth."""
    flat = draws.reshape(-1, *draws.shape[2:])
    chosen = flat[(np.arange(N_RANKS) + 1) * len(flat) // N_RANKS - 1]
    return (chosen < truth).sum(axis=0)


def _tree(groups: Groups, description, seed: int) -> xr.DataTree:
    import xarray as xr

    from nutmill.many.gathered import variables_of

    ranks = groups["ranks"]
    least, p_values = 1.0, {}
    for name, found in ranks.items():
        columns = found.reshape(len(found), -1)
        each = [p_value(np.bincount(column, minlength=N_RANKS + 1)) for column in columns.T]
        p_values[name] = np.array(each).reshape(found.shape[1:])
        least = min(least, *each)
    count = sum(each.size for each in p_values.values())
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 3)))
    places = {name: (found + rng.uniform(size=found.shape))[None] / (N_RANKS + 1) for name, found in ranks.items()}
    fits = {**groups[FITS], "too_few": groups[FITS]["min_ess_bulk"] < _ESS}
    tree = xr.DataTree.from_dict(
        {
            "prior_sbc": variables_of(places, ("chain", "draw"), description),
            "p_value": variables_of(p_values, (), description).assign_attrs(least=min(1.0, least * count)),
            FITS: variables_of(fits, ("dataset",), description),
        }
    )
    tree.attrs = {"inference_library": "nutmill", "random_seed": str(seed), "n_ranks": N_RANKS}
    return tree
