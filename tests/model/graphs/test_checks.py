"""Indices that reach too far are told of whatever their kind, as NumPy tells of them; those that fit are not."""

import functools

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from artifacts import again
from numpy.testing import assert_allclose
from saved import refused

from nutmill import compile_model
from nutmill.model.compat import indexed_axes
from nutmill.model.graph_origin import GraphOrigin
from nutmill.model.graphs.pymc_model import from_pymc

SHAPE = (5, 4, 3)
FIRST, LAST = np.array([0, 4, 2]), np.array([2, 0, 1])  # indices of the first axis and of the last

# Ways to index an array of SHAPE by data i, in NumPy's notation, which PyTensor shares; and values that fit or do not.
BY_ROW = [(FIRST, True), (-FIRST - 1, True), (FIRST + 1, False), (FIRST - 6, False), (FIRST[:0], True)]
BY_COLUMN = [(LAST, True), (-LAST - 1, True), (LAST + 1, False), (LAST - 4, False), (LAST[:0], True)]
TAKEN = {
    "vector": (lambda x, i: x[i], BY_ROW),
    "matrix": (lambda x, i: x[i], [(FIRST[:, None] + [[0, -1]], True), (FIRST[:, None] + [[0, 1]], False)]),
    "last axis": (lambda x, i: x[:, :, i], BY_COLUMN),
    "ellipsis": (lambda x, i: x[..., i], BY_COLUMN),
    "after a slice": (lambda x, i: x[1:3, 1:, i], BY_COLUMN),
    "of a slice": (lambda x, i: x[1:3, :, :][i], [(FIRST[:1], True), (FIRST, False)]),
    "new axis before": (lambda x, i: x[None, i], BY_ROW),
    "new axis between": (lambda x, i: x[:, None, :, i], BY_COLUMN),
    "two arrays": (lambda x, i: x[i, :, i], BY_COLUMN),
    "matrix twice": (lambda x, i: x[i, :, i], [(LAST[:, None], True), (LAST[:, None] + 1, False)]),
    "beside a constant": (lambda x, i: x[np.array([4, 0, 1]), :, i], [*BY_COLUMN[:4]]),
    "beside a mask": (lambda x, i: x[np.array([True, True, False, True, False]), :, i], [*BY_COLUMN[:4]]),
    "behind a matrix mask": (lambda x, i: x[np.eye(5, 4, dtype=bool)[:, [0, 1, 2, 0]], i], [
        (np.array([0, 1, 2, 2]), True), (np.array([0, 1, 3, 2]), False)]),
    "computed": (lambda x, i: x[i - 1], [(FIRST + 1, True), (FIRST + 2, False), (FIRST - 5, False)]),
    "negated": (lambda x, i: x[-i], [(FIRST + 1, True), (-FIRST, True), (FIRST + 2, False), (FIRST - 5, False)]),
    "and negated": (lambda x, i: x[i] + x[-i], [(FIRST, True), (FIRST + 1, False), (FIRST - 5, False)]),
    "narrow": (lambda x, i: x[i.astype("int8")], BY_ROW),
    "unsigned": (lambda x, i: x[i.astype("uint8")], [(FIRST, True), (FIRST + 1, False)]),
    "mask": (lambda x, i: x[i], [(np.eye(5, dtype=bool)[1], True), (np.zeros(5, bool), True), (np.ones(5, bool), True),
                                 (np.ones(4, bool), False), (np.zeros(6, bool), False)]),
    "matrix mask": (lambda x, i: x[i], [(np.eye(5, 4, dtype=bool), True), (np.eye(5, 3, dtype=bool), False),
                                        (np.zeros((6, 4), bool), False)]),
    "mask of the last axis": (lambda x, i: x[..., i], [(np.ones(3, bool), True), (np.ones(5, bool), False)]),
}  # fmt: skip
CASES = [(name, k) for name, (_, values) in TAKEN.items() for k in range(len(values))]


def indexed(way, value, *, change: bool = False) -> pm.Model:
    with pm.Model() as model:
        i = pm.Data("i", value)
        x = pm.Normal("x", 0.0, 1.0, shape=SHAPE)
        taken = way(x, i)
        changed = pt.set_subtensor(taken, 1.5) if change else taken
        pm.Potential("p", -(changed**2).sum())
    return model


@functools.cache
def graph_of(model: pm.Model):
    """Read a model once for all values of its index."""
    return from_pymc(model)


def misfits(model: pm.Model, value) -> list[str]:
    graph = graph_of(model)
    origin = GraphOrigin(graph)
    arrays = [value if array.name == "i" else array.value for array in graph.arrays]
    return origin.misfits(origin.start(arrays, 0), arrays)


@functools.cache
def model_of(name: str, change: bool) -> pm.Model:
    way, values = TAKEN[name]
    return indexed(way, values[0][0], change=change)


@pytest.mark.parametrize(("name", "k"), CASES)
def test_an_index_is_told_where_numpy_refuses_it(name, k):
    way, values = TAKEN[name]
    value, fits = values[k]
    try:
        way(np.zeros(SHAPE), value)
        assert fits
    except IndexError:
        assert not fits
    assert bool(misfits(model_of(name, False), value)) == (not fits)


@pytest.mark.parametrize("name", ["vector", "last axis", "two arrays", "computed", "mask"])
def test_an_index_of_what_is_changed(name):
    """Native code would write where the index leads."""
    for value, fits in TAKEN[name][1]:
        assert bool(misfits(model_of(name, True), value)) == (not fits)


def test_sentences():
    assert misfits(model_of("vector", False), FIRST + 1) == ["i has the index 5, and what it indexes has length 5"]
    assert misfits(model_of("vector", False), FIRST - 6) == ["i has the index -6, and what it indexes has length 5"]
    (computed,) = misfits(model_of("computed", False), FIRST + 2)
    assert computed == "what the model makes of i has the index 5, and what it indexes has length 5"
    (mask,) = misfits(model_of("mask", False), np.ones(4, bool))
    assert mask == "i is a mask of length 4, and what it selects from has length 5"
    assert len(misfits(model_of("two arrays", False), np.array([9]))) == 2


def test_indices_that_hang_on_parameters_alone_are_not_looked_at():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, shape=4)
        pm.Potential("p", -(x[pt.argsort(x)] ** 2).sum() - x[np.int64(1)] ** 2)
    assert misfits(model, None) == []


def test_axes_of_other_nodes():
    x, i = pt.matrix("x"), pt.lvector("i")
    assert indexed_axes(x[1:].owner) == [] and indexed_axes((x + 1).owner) == []
    assert [axis for axis, _ in indexed_axes(x[i, i].owner)] == [0, 1]


# What native code finds in another way than the interpreter, each compiled.
COMPILED, OTHERS = ("vector", "two arrays", "mask"), ("matrix twice", "computed", "beside a mask")


@pytest.mark.parametrize("name", [*COMPILED, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_compiled_and_loaded_models_refuse_it(name):
    way, values = TAKEN[name]
    compiled = compile_model(indexed(way, values[0][0]))
    q = np.linspace(-1.0, 1.0, compiled.n_dim)
    x = q.reshape(SHAPE)
    for model in (compiled, again(compiled)):
        for value, fits in values:
            if not fits:
                with refused(r"with these data \(i .*\): .* (index|mask)"):
                    model.with_data(i=value)
                continue
            expected = -0.5 * (x**2).sum() - 0.5 * x.size * np.log(2.0 * np.pi) - (way(x, value) ** 2).sum()
            assert_allclose(model.with_data(i=value).logp_dlogp(q)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("far", [10**6, 2**31 - 1, -(2**31)])
def test_an_index_far_away_ends_no_process(far):
    """Arrays of data, prepared before a density is evaluated: looked at before that."""
    with pm.Model() as model:
        rows, columns = (pm.Data(name, np.array([[0, 1], [1, 0]])) for name in ("rows", "columns"))
        table = pm.Data("table", np.arange(6.0).reshape(2, 3))
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.Potential("p", -((mu - table[rows, columns]) ** 2).sum())
    compiled = compile_model(model)
    for one in (compiled, again(compiled)):
        for name, length in (("rows", 2), ("columns", 3)):
            with refused(f"{name} has the index {far}, and what it indexes has length {length}"):
                one.with_data(**{name: np.array([[0, 1], [far, 0]])})
