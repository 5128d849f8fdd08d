"""Which data of a model its result shows, and in which group: as PyMC has it."""

import numpy as np
import pymc as pm
import pytest
from pymc.backends.arviz import find_constants, find_observations

from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.graphs.pymc_model import from_pymc


def counts(mean_of_observed: bool, kind: type) -> pm.Model:
    """Observations in `pm.Data`, of which the mean may be computed too; whole ones reach PyMC behind a cast."""
    with pm.Model() as model:
        x = pm.Data("x", [0.5, 1.0, 2.0])
        y = pm.Data("y", np.array([1, 2, 4], dtype=kind))
        slope = pm.Normal("slope")
        mean = x * slope + (y.mean() if mean_of_observed else 0.0)
        pm.Normal("seen", mean, 1, observed=y)
    return model


@pytest.mark.parametrize("kind", [float, int])
@pytest.mark.parametrize("mean_of_observed", [False, True])
def test_data_are_in_the_groups_where_pymc_has_them(mean_of_observed, kind):
    model = counts(mean_of_observed, kind)
    graph = from_pymc(model)
    assert isinstance(graph, ModelGraph)
    assert set(graph.constant) == set(find_constants(model))
    assert set(graph.observed) == set(find_observations(model))
