"""A small model and its file, for tests of files."""

import functools

import pymc as pm
import pytest

from nutmill import CompiledModel, ModelError, compile_model


def model() -> pm.Model:
    """A mean of three observations."""
    with pm.Model(coords={"row": ["a", "b", "c"]}) as model:
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.Normal("y", mu, 1.0, observed=pm.Data("y_data", [0.5, 1.0, 2.0], dims="row"), dims="row")
    return model


@functools.cache
def small() -> CompiledModel:
    """A compiled model that takes a second."""
    return compile_model(model())


@functools.cache
def content() -> bytes:
    """Its file."""
    return small().to_bytes()


def refused(pattern: str):
    """Expect a sentence."""
    return pytest.raises(ModelError, match=pattern)
