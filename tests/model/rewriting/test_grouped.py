"""Loops that go group by group: against the interpreter, PyTensor's forms and differences; new data, and bad ones."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from model.test_gradients import assert_agrees_with_differences, assert_agrees_with_pymc, positions

from nutmill import compile_model, sample
from nutmill.errors import ModelError, NutmillError
from nutmill.model.graphs.few import FEW_BESIDE_GROUPS
from nutmill.native.grouping import COLUMNS, LANES, LONGEST, PIECES, ROWS

RNG = np.random.default_rng(3)
N = 90
GROUP, OTHER = RNG.integers(0, 6, N), RNG.integers(0, 4, N)
COUNT, SIZE = RNG.poisson(2.0, N), RNG.normal(size=N)


def levels(name: str = "level", n: int = 7):
    """Levels of groups, of which the last has no row."""
    return pm.Normal(name, 0.0, 1.0, shape=n)


def normal(group=GROUP, y=SIZE) -> pm.Model:
    with pm.Model() as model:
        level = levels()
        pm.Normal("y", level[group], pm.HalfNormal("sigma", 1.0), observed=y)
    return model


def crossed() -> pm.Model:
    with pm.Model() as model:
        logit = levels()[GROUP] + levels("other", 4)[OTHER] + SIZE * levels("slope")[GROUP]
        pm.Bernoulli("y", logit_p=logit, observed=COUNT > 1)
    return model


def with_a_matrix(n_columns: int) -> pm.Model:
    x = np.random.default_rng(4).normal(size=(N, n_columns))
    with pm.Model() as model:
        mu = levels()[GROUP] + x @ pm.Normal("beta", 0.0, 1.0, shape=n_columns)
        pm.StudentT("y", nu=4.0, mu=mu, sigma=pm.HalfNormal("sigma", 1.0), observed=SIZE)
    return model


def counts() -> pm.Model:
    """Two loops over rows, the first of which hands rows to the second."""
    with pm.Model() as model:
        mu = pm.math.exp(levels()[GROUP] + levels("other", 4)[OTHER])
        pm.NegativeBinomial("y", mu=mu, alpha=pm.HalfNormal("alpha", 1.0), observed=COUNT)
    return model


def poisson() -> pm.Model:
    with pm.Model() as model:
        pm.Poisson("y", pm.math.exp(levels()[GROUP]), observed=COUNT)
    return model


def slopes(way: str) -> pm.Model:
    """Three effects of each group, in the ways in which people write them."""
    x = np.random.default_rng(6).normal(size=(N, 3))
    with pm.Model() as model:
        if way == "table":
            mu = (x * pm.Normal("effect", 0.0, 1.0, shape=(7, 3))[GROUP]).sum(axis=1)
        elif way == "columns":
            effect = pm.Normal("effect", 0.0, 1.0, shape=(7, 3))
            mu = effect[GROUP, 0] + effect[GROUP, -1] * SIZE
        else:
            effect = pm.Normal("effect", 0.0, 1.0, shape=(3, 7))
            mu = effect[0, GROUP] + effect[2, GROUP] * SIZE
        pm.Normal("y", mu, 0.5, observed=SIZE)
    return model


KINDS = {
    "normal": normal,
    "from the end": lambda: normal(GROUP - 7),
    "small integers": lambda: normal(GROUP.astype("int16")),
    "in pieces": lambda: normal(np.repeat([5, 0], [3 * LONGEST, LONGEST + 1]), RNG.normal(size=4 * LONGEST + 1)),
    "a row each": lambda: normal(np.random.default_rng(5).permutation(7), SIZE[:7]),
    "crossed": crossed,
    "counts": counts,
    "poisson": poisson,
    "slopes, a table": lambda: slopes("table"),
    "slopes, columns": lambda: slopes("columns"),
    "slopes, rows": lambda: slopes("rows"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_groups(kind):
    compiled = compile_model(KINDS[kind]())
    assert {each.kind for each in compiled.code.arranged} >= {PIECES, ROWS}
    assert_agrees_with_pymc(compiled)
    assert_agrees_with_differences(compiled)


def test_pytensor_agrees_and_goes_row_by_row():
    model = crossed()
    own, other = compile_model(model), compile_model(model, lowering="numba")
    assert own.code.arranged and not other.code.arranged
    for q in positions(own, 3):
        for ours, theirs in zip(own.logp_dlogp(q), other.logp_dlogp(q), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11)


def test_what_needs_rows_in_their_order_stays():
    """Values that go along rows: a walk of the residuals."""
    with pm.Model() as model:
        level = levels()
        pm.Normal("y", pm.math.cumsum(level[GROUP]), 1.0, observed=SIZE)
    compiled = compile_model(model)
    assert not compiled.code.arranged
    assert_agrees_with_pymc(compiled)


def test_groups_that_are_overwritten_before_their_gradient_stay():
    with pm.Model() as model:
        level = levels()
        raised = pt.set_subtensor(level[0], level[GROUP[:4]].max())
        raised = pt.set_subtensor(raised[1], pt.exp(raised[OTHER].max()))
        pm.Normal("y", raised, 1.0, observed=SIZE[:7])
    with pytensor.config.change_flags(on_opt_error="raise"):
        assert_agrees_with_pymc(compile_model(model))


def test_products_of_wide_matrices_are_left_to_tiles():
    compiled = compile_model(with_a_matrix(FEW_BESIDE_GROUPS + 1))
    assert not compiled.code.arranged
    assert_agrees_with_pymc(compiled)
    assert_agrees_with_differences(compiled)


def test_one_value_does_not_tie_loops_over_unlike_data():
    few = slice(30)
    with pm.Model() as model:
        level, share = levels(), pm.Beta("share", 2.0, 2.0)
        for name, rows in (("all", slice(N)), ("few", few)):
            logit = level[GROUP[rows]] + pt.log(share[None])
            pm.Bernoulli(name, logit_p=logit, observed=COUNT[rows] > 1)
    compiled = compile_model(model)
    assert [array.kind for array in compiled.code.arranged].count(PIECES) == 2
    assert_agrees_with_pymc(compiled)


def test_single_precision():
    model = normal()
    double, single = compile_model(model), compile_model(model, dtype="float32")
    for q in positions(double, 2):
        for one, other in zip(double.logp_dlogp(q), single.logp_dlogp(q), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def data_model() -> pm.Model:
    with pm.Model() as model:
        group, y = pm.Data("group", GROUP), pm.Data("y_data", SIZE)
        pm.Normal("y", levels()[group], 1.0, observed=y, shape=y.shape)
    return model


def test_new_data_are_put_in_order_anew():
    compiled = compile_model(data_model())
    for n_rows in (1, LANES, 200):
        group, y = RNG.integers(0, 7, n_rows), RNG.normal(size=n_rows)
        value, gradient = compiled.with_data(group=group, y_data=y).logp_dlogp(np.arange(7.0))
        residual = y - np.arange(7.0)[group]
        total = -0.5 * (np.sum(residual**2) + np.sum(np.arange(7.0) ** 2) + (n_rows + 7) * np.log(2 * np.pi))
        assert value == pytest.approx(total, rel=1e-13)
        np.testing.assert_allclose(gradient, np.bincount(group, residual, 7) - np.arange(7.0), rtol=1e-12, atol=1e-12)


def test_new_data_of_more_columns_are_refused():
    with pm.Model() as model:
        x = pm.Data("x", np.ones((N, 2)))
        pm.Normal("y", (x * pm.Normal("effect", shape=(7, 2))[GROUP]).sum(axis=1), 1.0, observed=SIZE)
    compiled = compile_model(model)
    assert any(each.kind == COLUMNS for each in compiled.code.arranged)
    for n_columns in (1, 3):
        with pytest.raises(ModelError, match="x"):
            compiled.with_data(x=np.ones((N, n_columns)))


def test_no_rows():
    compiled = compile_model(data_model())
    none = compiled.with_data(group=np.zeros(0, dtype=int), y_data=np.zeros(0))
    np.testing.assert_allclose(none.logp_dlogp(np.arange(7.0))[1], -np.arange(7.0))


def test_an_index_out_of_range_is_named():
    compiled = compile_model(data_model())
    for wrong in (7, -8):
        with pytest.raises(NutmillError, match="index"):
            sample(compiled.with_data(group=np.where(GROUP == 2, wrong, GROUP)), draws=5, progressbar=False)


def test_rows_that_do_not_fit_are_refused():
    compiled = compile_model(data_model())
    with pytest.raises(ModelError, match="group"):
        compiled.with_data(group=GROUP[:50])


def test_a_level_that_is_not_finite_does_not_touch_other_groups():
    """Idle lanes read rows of other groups."""
    compiled = compile_model(normal())
    q = np.zeros(compiled.n_dim)
    q[2] = np.nan
    value, gradient = compiled.logp_dlogp(q)
    assert np.isnan(value) and np.isfinite(np.delete(gradient[:7], 2)).all()
