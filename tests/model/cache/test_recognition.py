"""Models that are recognised before their log density is built: which are the same, and that nothing else differs."""

import gc
import logging
from functools import partial

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import zoo
from pymc.distributions import transforms
from pymc.logprob.abstract import _logprob
from zoo_graphs import ZOO, build

from benchmarks import models
from nutmill import compile_model
from nutmill.errors import ModelError
from nutmill.model.cache.recognition import RecognisedOrigin
from nutmill.model.cache.unbuilt import name_of
from nutmill.model.graph_origin import GraphOrigin
from nutmill.model.graphs import pymc_model
from nutmill.model.lowering import environment

ROWS = 12
X = np.linspace(-1.0, 1.0, ROWS)


@pytest.fixture(autouse=True)
def a_cache_of_its_own(model_cache):
    assert environment.is_current(), "nutmill's sources were edited since this session began: start it again"


def model(
    *, data=X, scale=1.0, transform=None, initval=None, name="slope", start=None, dims="row", twice=False
) -> pm.Model:
    x = pt.constant(data)
    with pm.Model(coords={"row": range(ROWS), "line": range(ROWS)}) as made:
        chosen = {} if transform is None else {"transform": transform}
        slope = pm.Normal(name, 0.0, scale, initval=initval, **chosen)
        noise = pm.Uniform("noise", 0.0, 2.0, initval=start)
        line = pm.Deterministic("line_of", slope * x, dims=dims)
        pm.Normal("y", line + (x if twice else pt.constant(data)), noise, observed=0.5 * X, dims="row")
    return made


def with_data(x: np.ndarray, y: np.ndarray) -> pm.Model:
    with pm.Model() as made:
        x = pm.Data("x", x)
        slope = pm.Normal("slope", 0.0, 1.0, initval=x.mean())
        pm.Normal("y", slope * x, 1.0, observed=pm.Data("y_data", y))
    return made


OTHERS = {
    "data": {"data": X + 1e-9},
    "a constant": {"scale": 2.0},
    "a transform": {"transform": transforms.Interval(-3.0, 3.0)},
    "the bounds of a transform": {"transform": transforms.Interval(-3.0, 4.0)},
    "a start": {"initval": 0.25},
    "the start of another": {"start": 1.25},
    "a name": {"name": "gradient"},
    "a dimension": {"dims": "line"},
    "one constant used twice": {"twice": True},
}


def name(made: pm.Model, var_names=None) -> str:
    found = name_of(made, var_names)
    assert found.digest is not None, found.reason
    return found.digest


def test_equal_models_share_a_name_and_others_do_not():
    assert name(model()) == name(model())
    names = [name(model()), name(model(), ["slope"]), *(name(model(**other)) for other in OTHERS.values())]
    assert len(set(names)) == len(names)


def test_values_of_shared_variables_are_not_in_the_name():
    assert name(with_data(X, X)) == name(with_data(X + 1.0, 2.0 * X))
    assert name(with_data(X, X)) != name(with_data(X, np.arange(ROWS)))


@pytest.mark.parametrize("known", [*(f"zoo {name}" for name in ZOO), *models.MODELS, "irt", "generated"])
def test_models_have_names_that_building_them_again_does_not_change(known):
    first, second = name_of(build(known), None), name_of(build(known), None)
    assert first == second
    assert first.digest is not None or known.startswith("zoo ")


def test_a_name_does_not_hang_on_other_models_that_live():
    """PyTensor 3 shares parts of inner graphs, constants included, with those that are alive."""
    first = name(build("zoo covariance"))
    gc.collect()
    assert name(build("zoo covariance")) == first


def user_bounds(*_):
    return 0.0, 1.0


def test_what_the_user_has_written_has_no_name():
    found = name_of(model(transform=transforms.Interval(bounds_fn=user_bounds)), None)
    assert found.digest is None and "user_bounds" in found.reason
    with pm.Model() as custom:
        pm.CustomDist("x", logp=lambda value: -(value**2))
    assert name_of(custom, None).digest is None


def test_nothing_is_recognised_where_the_user_replaced_a_log_density():
    original = _logprob.registry[pm.Normal.rv_op.__class__]

    def other(*arguments, **options):
        return original(*arguments, **options)

    _logprob.register(pm.Normal.rv_op.__class__, other)
    try:
        assert "_logprob of NormalRV was registered by" in name_of(model(), None).reason
    finally:
        _logprob.register(pm.Normal.rv_op.__class__, original)


@pytest.fixture
def refuse_to_build(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the log density is built")

    return lambda: monkeypatch.setattr(pm.Model, "logp", refuse)


def everything(compiled) -> dict:
    q = np.linspace(-0.4, 0.5, compiled.n_dim)
    logp, gradient = compiled.logp_dlogp(q)
    found = {"logp": logp, "gradient": gradient, "starts": np.concatenate([*map(np.ravel, compiled.start_values())])}
    found |= {f"reported {key}": value for key, value in compiled.expand(q[None]).items()}
    return found | compiled.origin.shown(compiled.description.values)


def assert_equal(one, other):
    first, second = everything(one), everything(other)
    assert list(first) == list(second)
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key)
    assert (one.dims, dict(one.coords)) == (other.dims, dict(other.coords))
    plain = [
        (d.parameters, d.reported, d.array_dims, d.observed, d.constant) for d in (one.description, other.description)
    ]
    assert plain[0] == plain[1]


@pytest.mark.parametrize("make", [model, zoo.regression, partial(build, "kidiq")])
def test_what_is_recognised_is_what_was_compiled(make, refuse_to_build):
    first = compile_model(make())
    made = make()
    refuse_to_build()
    second = compile_model(made)
    assert isinstance(second.origin, RecognisedOrigin)
    assert_equal(first, second)


def test_data_of_a_recognised_model_are_its_own(refuse_to_build):
    compile_model(with_data(X, X))
    expected = compile_model(with_data(X, X)).with_data(x=X + 1.0, y_data=2.0 * X)
    made = with_data(X + 1.0, 2.0 * X)
    refuse_to_build()
    found = compile_model(made)
    assert isinstance(found.origin, RecognisedOrigin)
    assert_equal(expected, found)
    assert found.start_values()[0] == pytest.approx(1.0)
    moved = expected.with_data(x=X + 2.0, y_data=X)
    assert moved.start_values()[0] == pytest.approx(2.0)


@pytest.fixture
def refuse_to_build_starts(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the graphs of the start are built")

    return lambda: monkeypatch.setattr(pymc_model, "make_initial_point_expression", refuse)


@pytest.mark.parametrize("make", [model, zoo.regression, partial(with_data, X + 1.0, X)])
def test_the_start_of_a_known_model_is_known(make, refuse_to_build_starts):
    expected = compile_model(make()).start_values()
    made = make()
    refuse_to_build_starts()
    found = compile_model(made)
    assert isinstance(found.origin, RecognisedOrigin)
    for one, other in zip(found.start_values(seed=3), expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype and one.flags.writeable


def test_the_start_for_other_data_is_not_that_of_the_first():
    compile_model(with_data(X, X)).start_values()
    found = compile_model(with_data(X, X))
    for shift in (1.0, 2.0):
        assert found.with_data(x=X + shift, y_data=X).start_values()[0] == pytest.approx(shift)
    assert found.start_values()[0] == pytest.approx(0.0)
    assert compile_model(with_data(X + 3.0, X)).start_values()[0] == pytest.approx(3.0)


def test_starts_that_are_drawn_are_drawn_anew():
    first = compile_model(model(initval="prior"))
    values = [first.start_values(seed)[0] for seed in (0, 1)]
    assert values[0] != values[1]
    again = compile_model(model(initval="prior"))
    assert isinstance(again.origin, RecognisedOrigin)
    assert [again.start_values(seed)[0] for seed in (0, 1)] == values


@pytest.mark.parametrize("is_known", [True, False])
def test_a_start_is_that_of_the_model_when_it_was_compiled(is_known):
    first = compile_model(with_data(X + 1.0, X))
    if is_known:
        first.start_values()
    made = with_data(X + 1.0, X)
    found = compile_model(made)
    assert isinstance(found.origin, RecognisedOrigin)
    with made:
        pm.set_data({"x": X + 5.0})
        pm.Normal("late")
    assert found.start_values()[0] == pytest.approx(1.0)


def test_missing_observations_are_refused():
    compile_model(with_data(X, X))
    made = with_data(X, X)
    made["y_data"].set_value(np.where(X > 0.0, np.nan, X))
    with pytest.raises(ModelError, match="y_data are NaN, first at"):
        compile_model(made)


def test_rare_questions_build_the_log_density():
    compile_model(model())
    found = compile_model(model())
    built = GraphOrigin(pymc_model.from_pymc(model()))
    values, given = found.description.values, {"slope": 0.75}
    for one, other in zip(found.origin.start_given(given, values, 0), built.start_given(given, values, 0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_that_was_changed_meanwhile_is_not_asked():
    compile_model(model())
    made = model()
    found = compile_model(made)
    with made:
        pm.Normal("late")
    with pytest.raises(ModelError, match="was changed after it was compiled"):
        found.origin.start_given({"slope": 0.0}, found.description.values, 0)


def test_why_a_model_is_not_recognised_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="nutmill"):
        compile_model(model(transform=transforms.Interval(bounds_fn=user_bounds)))
    assert "this model is read anew every time: " in caplog.text


def with_arrays_of_pymc(x: np.ndarray, extra: float = 0.0) -> pm.Model:
    """A model with data, in which PyMC makes an array: a covariate becomes the row of a matrix."""
    with pm.Model(coords={"row": range(ROWS)}) as made:
        x = pm.Data("x", x, dims="row")
        slope = pm.Normal("slope")
        rows = pt.stack([slope * x, slope * pt.constant(X**2), pt.constant(X + extra)])
        pm.Normal("y", rows.T.sum(1), 1.0, observed=0.5 * X, dims="row")
    return made


def test_arrays_that_pymc_makes_are_known_again_with_the_same_data():
    first = compile_model(with_arrays_of_pymc(X))
    again = compile_model(with_arrays_of_pymc(X))
    assert isinstance(again.origin, RecognisedOrigin)
    assert again.logp_dlogp(np.array([0.5]))[0] == first.logp_dlogp(np.array([0.5]))[0]


@pytest.mark.parametrize("other", [{"x": X + 1e-9}, {"x": X, "extra": 1e-9}])
def test_arrays_that_pymc_makes_are_made_anew_with_other_data(other):
    compile_model(with_arrays_of_pymc(X))
    assert not isinstance(compile_model(with_arrays_of_pymc(**other)).origin, RecognisedOrigin)


def test_a_constant_that_equals_data_today_is_not_taken_for_them(model_cache):
    """Two arrays of equal content in the first run are different ones in the second."""

    def model(x) -> pm.Model:
        with pm.Model() as made:
            data = pm.Data("x", np.asarray(x, dtype=float))
            mu = pm.Normal("mu", 0.0, 1.0, initval=np.float64(0.5))
            pm.Potential("tie", -((mu - data) ** 2).sum() - 3.0 * ((mu - np.array([1.0, 2.0, 3.0])) ** 2).sum())
        return made

    compile_model(model([1.0, 2.0, 3.0]))
    found = compile_model(model([7.0, 8.0, 9.0]))
    assert found.code.from_cache
    expected = -0.5 * 0.25 - 0.5 * np.log(2 * np.pi) - ((0.5 - np.array([7.0, 8.0, 9.0])) ** 2).sum()
    expected -= 3.0 * ((0.5 - np.array([1.0, 2.0, 3.0])) ** 2).sum()
    assert found.logp_dlogp(np.array([0.5]))[0] == pytest.approx(expected, rel=1e-12)
