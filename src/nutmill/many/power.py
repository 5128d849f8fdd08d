"""`power`: how often a decision comes out, over data that are simulated from priors, for one design or several."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nutmill.errors import ArgumentError, ModelError
from nutmill.many.fitting import Fit, options_of_fits
from nutmill.many.sample_many import sample_many
from nutmill.native.labels import label_array
from nutmill.results.trace import group
from nutmill.sampling.request import Seed, checked_count
from nutmill.sampling.sample import compiled_of

if TYPE_CHECKING:
    import xarray as xr

Arrays = Mapping[str, np.ndarray]


def power(
    model: Any,
    decide: Callable[[Fit, Arrays], Mapping[str, Any]],
    n: int = 1000,
    *,
    designs: Mapping[Hashable, Mapping[str, Any]] | None = None,
    simulate_from: Any = None,
    draws: int = 500,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float = 0.8,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Simulate data from the priors, fit the model to them, decide, and count: what a study of this design will find.

    Parameters
    ----------
    model : pm.Model
        With proper priors and without potentials.
    decide : callable
        Of a fit (as ``keep`` of `sample_many` has it) and the true values by name to a mapping from names to truth
        values or numbers; called in several threads at once.
    n : int
        Data sets for each design.
    designs : mapping, optional
        From what a design is called to its data: values of `pm.Data` by name, of the same names each. Default: the
        data that the model has. All designs have the same true values, as far as these do not depend on the data.
    simulate_from : pm.Model, optional
        Another model to draw true values and data from, such as ``pm.do(model, {"effect": 0.5})``.
    draws, tune, chains, cores, target_accept
        Of each fit, as in `sample_many`.
    random_seed
        As in `sample_many`; data depend on it too.
    progressbar
        Say on stderr how far the fits are.

    Returns
    -------
    xarray.DataTree
        Group ``power``: by design what was decided, its ``mean`` over data sets and the Monte Carlo standard error of
        that, ``mcse``. Groups ``kept``, what was decided of each data set, and ``fits``, as in `sample_many`; their
        dimension ``dataset`` goes through one design after the other.

    Raises
    ------
    ArgumentError
        If an argument cannot be used.
    ModelError
        If data cannot be simulated, a design does not fit the model, or a fit fails.
    SamplingError
        If a chain has to stop.
    """
    options, n = options_of_fits(locals()), checked_count("n", n, 1)
    given: Mapping[Hashable, Mapping[str, Any]] = {"of the model": {}} if designs is None else _checked(designs)
    if not callable(decide):
        raise ArgumentError(f"decide must be a function of a fit and the true values, not {decide!r:.60}.")
    truths: dict[int, Arrays] = {}
    sets = _simulated(model if simulate_from is None else simulate_from, given, (n, options["random_seed"]), truths)
    compiled = compiled_of(model, progressbar=progressbar)
    tree = sample_many(
        compiled,
        sets,
        keep=lambda fit: decide(fit, truths.pop(fit.number)),
        on_error="raise",
        progressbar=progressbar,
        **options,
    )
    tree["power"] = _counted(group(tree, "kept"), list(given), n, named=designs is not None)
    return tree


def _checked(designs: Any) -> Mapping[Hashable, Mapping[str, Any]]:
    if not isinstance(designs, Mapping) or not all(isinstance(data, Mapping) for data in designs.values()):
        raise ArgumentError("designs must be a mapping from what a design is called to a mapping of its data by name.")
    if not designs:
        raise ArgumentError("There are no designs: leave designs= out to take the data that the model has.")
    return designs


def _simulated(
    model: Any, designs: Mapping[Hashable, Mapping[str, Any]], sizes: tuple[int, int], truths: dict[int, Arrays]
) -> Iterator[dict[str, Any]]:
    """Make the data sets of all designs, each once the one before is fitted; their true values go to `truths`."""
    from nutmill.model.simulating import simulations, with_other_data  # brings PyMC

    (n, seed), number = sizes, 0
    for name, data in designs.items():
        try:
            with with_other_data(model, data):
                made = list(simulations(model, n, seed))
        except ModelError as error:
            raise ModelError(f"Design {name!r}: {error}") from error
        for simulation in made:
            truths[number] = simulation.truth
            number += 1
            yield {**data, **simulation.data}


def _counted(kept: xr.Dataset, designs: list[Hashable], n: int, *, named: bool) -> xr.Dataset:
    """Means over the data sets of each design, and how well these are known."""
    import xarray as xr

    variables = {}
    for name, decided in kept.data_vars.items():
        values = decided.values.astype(float).reshape(len(designs), n, *decided.shape[1:])
        mcse = values.std(axis=1, ddof=1 if n > 1 else 0) / np.sqrt(n)
        found = np.stack([values.mean(axis=1), mcse], axis=1)
        dims = ("design", "statistic", *decided.dims[1:])
        variables[name] = (dims, found)
    labels = {"design": label_array(designs), "statistic": ["mean", "mcse"]}
    counted = xr.Dataset(variables, coords=labels)
    return counted if named else counted.isel(design=0, drop=True)
