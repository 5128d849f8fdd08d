"""Numbers of cells and their coordinates are arithmetic: against NumPy, outside, and as indices of groups."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from model.inlining import inlined
from model.test_gradients import assert_agrees_with_differences, assert_agrees_with_pymc
from numpy.testing import assert_array_equal
from pytensor.graph.fg import FunctionGraph
from saved import refused

from nutmill import compile_model
from nutmill.model.rewriting.translations import after_gradients


def translated(inputs, outputs):
    fgraph = FunctionGraph(inputs, outputs, clone=True)
    after_gradients().rewrite(fgraph)
    return inlined(fgraph.inputs, fgraph.outputs)


@pytest.mark.parametrize("order", ["C", "F"])
def test_places_and_coordinates(order):
    place, shape = pt.lvector("place"), (3, 4, 2)
    everything = np.arange(24).reshape(4, 6)[:, ::2].ravel()
    coordinates = pt.unravel_index(place, shape, order=order)
    back = pt.ravel_multi_index(coordinates, shape, order=order)
    function = translated([place], [*coordinates, back])
    for places in (everything, everything[:0]):
        *found, again = function(places)
        for ours, numpys in zip(found, np.unravel_index(places, shape, order=order), strict=True):
            assert_array_equal(ours, numpys)
        assert_array_equal(again, places)
    for outside in (24, -1):
        with pytest.raises(AssertionError, match="out of bounds"):
            function(np.array([0, outside]))


def test_coordinates_outside():
    row, column = pt.lvector("row"), pt.lvector("column")
    function = translated([row, column], [pt.ravel_multi_index((row, column), (3, 4))])
    assert_array_equal(function(np.array([2]), np.array([3]))[0], [11])
    for outside in ([3, 0], [0, 4], [-1, 0]):
        with pytest.raises(AssertionError, match="invalid entry"):
            function(*np.array(outside)[:, None])


def test_groups_by_coordinates():
    """Crossed groups whose indices are computed of the number of a cell."""
    rng = np.random.default_rng(4)
    with pm.Model() as model:
        cell = pm.Data("cell", rng.integers(0, 12, 50))
        row, column = pt.unravel_index(cell, (3, 4))
        mu = pm.Normal("a", shape=3)[row] + pm.Normal("b", shape=4)[column]
        pm.Normal("y", mu, observed=rng.normal(size=50))
    compiled = compile_model(model)
    assert_agrees_with_pymc(compiled)
    assert_agrees_with_differences(compiled)
    assert compiled.code.arranged
    with refused(r"cell \(50,\)"):
        compiled.with_data(cell=np.full(50, 12))
