"""Log densities and gradients of real models: against PyMC and differences, fused and through a pointer."""

import numpy as np
import pytest
import zoo
from model.inlining import INTERPRETED
from pytensor.compile.mode import Mode

from benchmarks import models
from nutmill import CompiledModel, compile_model

# PyTensor's interpreter, nearly without rewrites, for densities that are not finite far out as they are written:
# nothing that nutmill does to a graph happens here, either.
REWRITTEN = Mode(linker="py", optimizer="fast_compile")

QUICK = ("transforms", "counts", "imputed", "scan", "regression")
EXPENSIVE = ("covariance", "gaussian_process", "mixture", "cut_off")


def positions(compiled: CompiledModel, n: int, seed: int = 1) -> np.ndarray:
    """Points around the start, (n, n_dim)."""
    start = np.concatenate([np.ravel(value) for value in compiled.start_values()])
    return start + np.random.default_rng(seed).uniform(-0.7, 0.7, (n, compiled.n_dim))


def assert_agrees_with_pymc(compiled: CompiledModel, mode: Mode = INTERPRETED) -> None:
    model = compiled.origin.graph.source
    logp, dlogp = model.compile_logp(mode=mode), model.compile_dlogp(mode=mode)
    for q in positions(compiled, 3):
        point = compiled.split(q)
        value, gradient = compiled.logp_dlogp(q)
        np.testing.assert_allclose(value, logp(point), rtol=1e-11)
        expected = dlogp(point)
        np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())


def assert_agrees_with_differences(compiled: CompiledModel) -> None:
    """Compare with fourth-order central differences along random directions."""
    rng = np.random.default_rng(2)
    for q in positions(compiled, 3, seed=3):
        direction = rng.standard_normal(compiled.n_dim)
        direction /= np.linalg.norm(direction)
        step = 1e-3
        one, two = (
            compiled.logp_dlogp(q + k * step * direction)[0] - compiled.logp_dlogp(q - k * step * direction)[0]
            for k in (1, 2)
        )
        value, gradient = compiled.logp_dlogp(q)
        size = max(1.0, abs(value), np.linalg.norm(gradient))
        assert gradient @ direction == pytest.approx((8.0 * one - two) / (12.0 * step), abs=1e-8 * size)


def assert_forms_agree(fused: CompiledModel, pointer: CompiledModel) -> None:
    assert not pointer.code.fused
    for q in positions(fused, 3):
        (value, gradient), (other, other_gradient) = fused.logp_dlogp(q), pointer.logp_dlogp(q)
        np.testing.assert_allclose(value, other, rtol=1e-13)
        np.testing.assert_allclose(gradient, other_gradient, rtol=1e-10, atol=1e-12 * np.abs(other_gradient).max())


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in EXPENSIVE)])
def test_the_zoo_has_the_gradients_of_pytensor(name):
    compiled = zoo.compiled(name)
    assert compiled.code.fused
    assert_agrees_with_pymc(compiled)
    assert_agrees_with_differences(compiled)


@pytest.mark.parametrize("name", ["regression", "scan"])
def test_fused_and_called_by_pointer_are_one_density(name):
    assert_forms_agree(zoo.compiled(name), zoo.compiled(name, fuse=False))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*models.MODELS, "irt", "generated"])
def test_benchmark_models_have_the_gradients_of_pytensor(name):
    fused = compile_model(models.build(name))
    assert fused.code.fused
    assert_agrees_with_pymc(fused, REWRITTEN)
    assert_agrees_with_differences(fused)
    assert_forms_agree(fused, compile_model(models.build(name), fuse=False))


def test_constrained_values_are_in_their_support():
    compiled = zoo.compiled("transforms")
    values = compiled.expand(positions(compiled, 50))
    assert (values["scale"] > 0).all() and (values["lower"] > 1.5).all() and (values["upper"] < 0.5).all()
    assert (np.abs(values["bounded"] - 1.0) < 2.0).all() and (np.abs(values["share"] - 0.5) < 0.5).all()
    np.testing.assert_allclose(values["weights"].sum(axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(values["effect"].sum(axis=-1), 0.0, atol=1e-12)
    assert (np.diff(values["cuts"], axis=-1) > 0).all()
    assert (np.abs(values["angle"]) <= np.pi).all()


def test_deterministics_keep_their_types():
    compiled = zoo.compiled("transforms")
    values = compiled.expand(positions(compiled, 7))
    assert values["largest"].dtype == np.int64 and values["largest"].shape == (7,)
    assert values["is_positive"].dtype == bool and values["is_positive"].shape == (7, 3)
    np.testing.assert_array_equal(values["largest"], values["effect"].argmax(axis=-1))
    np.testing.assert_array_equal(values["is_positive"], values["effect"] > 0)


def test_reported_variables_agree_with_pymc():
    compiled = zoo.compiled("regression")
    model = compiled.origin.graph.source
    q = positions(compiled, 4)
    values, pieces = compiled.expand(q.reshape(2, 2, -1)), compiled.split(q)
    np.testing.assert_allclose(values["sigma"].ravel(), np.exp(pieces["sigma_log__"]), rtol=1e-14)
    x, group = model["x"].get_value(), model["group_of_row"].get_value()
    expected = pieces["level"][:, group] + pieces["beta"] @ x.T
    np.testing.assert_allclose(values["mu"].reshape(4, -1), expected, rtol=1e-12, atol=1e-14)


def test_imputed_values_are_parameters_and_data_at_once():
    compiled = zoo.compiled("imputed")
    values = compiled.expand(positions(compiled, 2))
    assert values["y_unobserved"].shape == (2, 3)
    assert values["y"].shape == (2, 8)
    np.testing.assert_array_equal(values["y"][:, [1, 4, 7]], values["y_unobserved"])
