"""Observations that may be left out of a fit: a truth value for each says whether it counts."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable

from nutmill.errors import ModelError
from nutmill.model.graphs.start import evaluate

# Variable of the model -> which of its observations are fitted.
Fitted = Mapping[Variable, SharedVariable]


def is_fitted_name(observed: str) -> str:
    """Name of the data that say which observations of a variable are fitted."""
    return f"is_fitted_{observed}"


def new_fitted(
    densities: Mapping[Variable, Variable], values: Sequence[Variable], start: Sequence[Variable]
) -> dict[Variable, SharedVariable]:
    """Make what says which observations are fitted: all of them; raises ModelError if nothing is observed.

    `densities` has the log density of each observed variable, observation by observation, of value variables; `values`
    and `start` are these, and graphs of a value of each, for the shapes. Gives by observed variable shared truth
    values, of the shape of its log density.
    """
    if not densities:
        raise ModelError("The model observes nothing: there are no observations to leave out.")
    shapes = evaluate(values, evaluate([], [], start), [pt.shape(density) for density in densities.values()])
    return {
        rv: pytensor.shared(np.ones(tuple(shape), bool), is_fitted_name(rv.name), shape=(None,) * len(shape))
        for rv, shape in zip(densities, shapes, strict=True)
    }


def counted(densities: Mapping[Variable, Variable], fitted: Fitted) -> list[Variable]:
    """Log densities in which what is left out counts nothing, however improbable it is."""
    return [
        pt.switch(fitted[rv], density, np.zeros((), density.dtype)) if rv in fitted else density
        for rv, density in densities.items()
    ]


def with_names(
    fitted: Fitted, names: Mapping[Variable, str], observed: set[Variable]
) -> tuple[dict[Variable, str], set[Variable]]:
    """Add what is fitted to the names of data; `observed` stays as it is."""
    return {**names, **{variable: is_fitted_name(rv.name) for rv, variable in fitted.items()}}, observed
