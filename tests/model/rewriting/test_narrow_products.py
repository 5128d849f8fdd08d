"""Products of matrices of few columns: which go column by column, and that their values are those of PyMC."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from model.test_gradients import assert_agrees_with_differences, assert_agrees_with_pymc

from nutmill import compile_model
from nutmill.errors import ModelError
from nutmill.model.graphs.few import FEW, FEW_BESIDE_GROUPS
from nutmill.model.graphs.pymc_model import from_pymc
from nutmill.model.rewriting.blas.ops import LeanMatrixVector
from nutmill.model.rewriting.rewrite import rewrite
from nutmill.model.rewriting.rows.tiles import RowTiles
from nutmill.native.grouping import COLUMNS, TRANSPOSED

RNG = np.random.default_rng(7)
N = 61
X, Y, SIZE = RNG.normal(size=(N, 3)), RNG.integers(0, 4, N), RNG.normal(size=N)

SPELLINGS = {
    "product": lambda x, b: x @ b,
    "dot": pm.math.dot,
    "row times matrix": lambda x, b: b @ x.T,
    "column": lambda x, b: (x @ b[:, None])[:, 0],
    "sum of a table": lambda x, b: (x * b).sum(-1),
}


def found(way, n_columns: int):
    """Products and tiles that are left of a regression's gradient, and what binding is asked to make."""
    x, y, b = pt.matrix("x"), pt.vector("y"), pt.vector("b", shape=(n_columns,))
    value = -0.5 * ((y - way(x, b)) ** 2).sum()
    graph = rewrite([b], [x, y], [value, pt.grad(value, b)], hoist=True)
    left = [type(node.op) for node in graph.fgraph.apply_nodes if isinstance(node.op, LeanMatrixVector | RowTiles)]
    return left, {made.kind for made in graph.arranged.values()}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_few_columns_are_one_loop_however_they_are_written(spelling):
    assert found(SPELLINGS[spelling], 3) == ([], {TRANSPOSED})


def test_how_many_are_few():
    assert found(SPELLINGS["product"], FEW) == ([], {TRANSPOSED})
    assert found(SPELLINGS["product"], FEW + 1) == ([RowTiles], set())
    assert found(SPELLINGS["product"], 1)[1] == set()


def counts(x=X, y=Y) -> pm.Model:
    """Columns of standardised data, two matrices, and a check that all rows must pass before any counts."""
    with pm.Model() as model:
        x = pm.Data("x", x)
        eta = (x - x.mean(0)) @ pm.Normal("b", 0.0, 0.5, shape=3) + x[:, :2] @ pm.Normal("c", 0.0, 0.5, shape=2)
        pm.NegativeBinomial("y", mu=pm.math.exp(eta), alpha=pm.HalfNormal("alpha", 1.0), observed=y)
    return model


def many_columns(n_columns: int, *, groups: bool = True) -> pm.Model:
    """Coefficients, as many as a type tells, and a level of each group."""
    x = np.random.default_rng(8).normal(size=(N, n_columns))
    with pm.Model() as model:
        level = 0.5 * pm.Normal("level", 0.0, 1.0, shape=5)[np.arange(N) % 5] if groups else 0.0
        mu = level + x @ (0.1 * pm.Normal("b", 0.0, 1.0, shape=n_columns))
        pm.Normal("y", mu, 1.0, observed=SIZE)
    return model


def nested(x=X, y=SIZE) -> pm.Model:
    with pm.Model() as model:
        x, y = pm.Data("x", x), pm.Data("y_data", y)
        level = pm.Normal("level", 0.0, 1.0, shape=5)
        mu = x @ pm.Normal("b", 0.0, 1.0, shape=3) + level[np.arange(len(SIZE)) % 5]
        pm.Normal("y", mu, pm.HalfNormal("sigma", 1.0), observed=y)
    return model


def widest() -> pm.Model:
    return many_columns(FEW_BESIDE_GROUPS)


@pytest.mark.parametrize(("model", "kind"), [(counts, TRANSPOSED), (nested, COLUMNS), (widest, COLUMNS)])
def test_values_and_gradients(model, kind):
    compiled = compile_model(model())
    assert kind in {each.kind for each in compiled.code.arranged}
    assert_agrees_with_pymc(compiled)
    assert_agrees_with_differences(compiled)


@pytest.mark.parametrize(("n_columns", "groups"), [(FEW_BESIDE_GROUPS + 1, True), (FEW_BESIDE_GROUPS, False)])
def test_more_columns_are_left_to_tiles(n_columns, groups):
    *_, coefficients = from_pymc(many_columns(n_columns, groups=groups)).parameters
    assert coefficients.variable.type.shape == (None,)


def test_new_data():
    compiled = compile_model(nested())
    x, y = RNG.normal(size=(N, 3)), RNG.normal(size=N)
    again, anew = compiled.with_data(x=np.asfortranarray(x), y_data=y), compile_model(nested(x, y))
    q = RNG.normal(size=compiled.n_dim)
    for one, other in zip(again.logp_dlogp(q), anew.logp_dlogp(q), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ModelError, match=r"x \(61, 4\).*shapes do not fit"):
        compiled.with_data(x=RNG.normal(size=(N, 4)))


def test_what_is_not_a_number_is_seen():
    x = X.copy()
    x[5, 1] = np.nan
    compiled = compile_model(nested())
    with pytest.raises(ModelError, match="x"):
        compiled.with_data(x=x)
