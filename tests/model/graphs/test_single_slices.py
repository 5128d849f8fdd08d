"""Slices of one element: they broadcast in a model as it is compiled, where lengths are open, as they do in PyMC's."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from model.test_gradients import assert_agrees_with_differences, assert_agrees_with_pymc

from nutmill import compile_model
from nutmill.model.graphs.single_slices import with_single_elements

X = np.linspace(0.0, 1.0, 30)


def first_of_many():
    with pm.Model() as model:
        z = pm.Normal("z", shape=20)
        pm.Normal("y", z[0:1] * X + z[-1:] - z[5:6], observed=X)
    return model


def columns_of_many():
    with pm.Model() as model:
        z = pm.Normal("z", shape=(30, 12))
        pm.Normal("y", z[:, 0:1] * np.ones((30, 7)) + z[:, -2:-1], observed=np.ones((30, 7)))
    return model


def columns_behind_a_factor():
    with pm.Model() as model:
        chol, *_ = pm.LKJCholeskyCov("chol", n=2, eta=2, sd_dist=pm.HalfNormal.dist(1, shape=2))
        effects = pt.dot(pm.Normal("z", shape=(30, 2)), chol.T)
        hazard = effects[:, 0:1] + effects[:, 1:2] * (X[:, None] * np.linspace(0.1, 0.9, 7))
        pm.Potential("survival", -pt.exp(hazard).sum())
    return model


@pytest.mark.parametrize("build", [first_of_many, columns_of_many, columns_behind_a_factor])
def test_a_slice_of_one_broadcasts_where_lengths_are_open(build):
    compiled = compile_model(build())
    assert_agrees_with_pymc(compiled)
    assert_agrees_with_differences(compiled)


@pytest.mark.parametrize(
    "index",
    [
        np.s_[1:2],
        np.s_[-1:],
        np.s_[-2:-1],
        np.s_[3:],
        np.s_[:1],
        np.s_[::-5],
        np.s_[2, 1:2],
        np.s_[:, 0:1],
        np.s_[1:3, 4:],
    ],
)
def test_what_a_slice_takes_stays_the_same(index):
    matrix = pt.matrix("matrix", shape=(4, 5))
    taken = pt.exp(matrix)[index]
    (written,) = with_single_elements([taken])
    value = np.arange(20.0).reshape(4, 5)
    assert written.type.shape == taken.type.shape
    np.testing.assert_array_equal(*pytensor.function([matrix], [written, taken], mode="FAST_COMPILE")(value))


def test_a_graph_without_such_slices_is_left_as_it_is():
    matrix = pt.matrix("matrix", shape=(4, 1))
    taken = pt.exp(matrix[1:3, 0:1])[: matrix.shape[0]]
    assert with_single_elements([taken]) == [taken]
