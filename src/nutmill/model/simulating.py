"""Draws a PyMC model's parameters from their prior, and data from them: what calibration by simulation begins with."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pymc as pm

from nutmill.errors import ModelError
from nutmill.model.graphs.pymc_model import data_name_of
from nutmill.model.graphs.start import evaluator


class Simulation(NamedTuple):
    """One draw of everything."""

    truth: dict[str, np.ndarray]  # free variables by name
    # The same on the unconstrained scale, by the names that a compiled model's parameters have.
    pieces: dict[str, np.ndarray]
    data: dict[str, np.ndarray]  # observed variables, by the names that `with_data` takes


def simulations(model: pm.Model, count: int, seed: int) -> Iterator[Simulation]:
    """Draw so many times; each draw depends on the seed and its number alone.

    Raises ModelError if the model has no observed variables, a potential or a flat prior, which nothing can be drawn
    from, or what it observes is computed.
    """
    _check(model)
    free = [model.values_to_rvs[value] for value in model.value_vars]
    names = {rv: data_name_of(model, rv) for rv in model.observed_RVs}
    moved = [_unconstrained(model, rv) for rv in free]
    draw = evaluator([], [*free, *moved, *names])
    for stream in np.random.SeedSequence(seed).spawn(count):
        values = draw([], int(stream.generate_state(1)[0]))
        truth = dict(zip([rv.name for rv in free], values, strict=False))
        pieces = dict(zip([value.name for value in model.value_vars], values[len(free) :], strict=False))
        yield Simulation(truth, pieces, dict(zip(names.values(), values[2 * len(free) :], strict=True)))


@contextmanager
def with_other_data(model: pm.Model, data: Mapping[str, Any]) -> Iterator[None]:
    """Let a model have other `pm.Data` while in the `with`.

    Raises ModelError if it has no such data, or they do not fit it.
    """
    _check_kind(model)
    named = {variable.name: variable for variable in model.data_vars}
    if strange := [name for name in data if name not in named]:
        raise ModelError(f"The model has no pm.Data called {', '.join(strange)}. It has {', '.join(named) or 'none'}.")
    before = {name: named[name].get_value() for name in data}
    try:
        try:
            with model:
                pm.set_data(dict(data))
        except (ValueError, TypeError) as error:
            raise ModelError(f"The data do not fit the model: {str(error).rstrip('.')}.") from error
        yield
    finally:
        with model:
            pm.set_data(before)


def _unconstrained(model: pm.Model, rv):
    transform = model.rvs_to_transforms[rv]
    return rv if transform is None else transform.forward(rv, *rv.owner.inputs)


def _check_kind(model: pm.Model) -> None:
    if not isinstance(model, pm.Model):
        raise ModelError(f"To simulate data a pm.Model is needed, not {type(model).__name__}.")


def _check(model: pm.Model) -> None:
    _check_kind(model)
    if not model.observed_RVs:
        raise ModelError("The model observes nothing: there are no data to simulate.")
    if model.potentials:
        names = ", ".join(potential.name for potential in model.potentials)
        raise ModelError(f"No data can be simulated from a model with a potential ({names}): nothing draws from it.")
    flat = [rv.name for rv in model.free_RVs if isinstance(rv.owner.op, pm.Flat.rv_type | pm.HalfFlat.rv_type)]
    if flat:
        raise ModelError(f"No truth can be drawn from the flat prior of {', '.join(flat)}: give it a proper one.")
