"""New data that do not fit each other or the model: the sentence names the arrays, and nothing that is not there."""

import numpy as np
import pymc as pm
import pytest
from artifacts import again
from pytensor.raise_op import Assert
from saved import refused

from nutmill import compile_model, sample_numba


@pytest.fixture(scope="module")
def line():
    with pm.Model() as model:
        x = pm.Data("x", [0.0, 1.0, 2.0])
        slope = pm.Normal("slope")
        pm.Normal("y", slope * x, 1, observed=[0.1, 1.2, 1.9], shape=x.shape)
    return compile_model(model)


@pytest.mark.parametrize("stored", [False, True])
def test_lengths_that_part(line, stored):
    """The arrays and their shapes are named, and no operation that the model does not have."""
    model = again(line) if stored else line
    shapes = r"\(x \(2,\), y \(3,\)\)"
    with refused(rf"with these data {shapes}: x and y had the same length, 3, and now have 2 and 3\.$"):
        model.with_data(x=[1.0, 2.0], y=[1.0, 2.0, 3.0])
    assert model.with_data(x=[1.0, 2.0], y=[1.0, 2.0]).logp_dlogp(np.zeros(1))[0] < 0.0


def test_a_check_of_the_model_that_fails():
    with pm.Model() as model:
        x = pm.Data("x", [1.0, 2.0])
        pm.Normal("y", pm.Normal("slope") * Assert("x must be positive")(x, (x > 0.0).all()), 1.0, observed=[1.0, 2.0])
    with refused(r"\(x \(2,\), y \(2,\)\): an operation of the model failed at this point: shapes do not fit, an ind"):
        compile_model(model).with_data(x=[-1.0, 2.0])


def test_nothing_to_sample():
    with pm.Model() as model:
        pm.Normal("x", shape=0)
    with refused(r"^There is nothing to sample: every free variable of the model has length 0 \(x\)\.$"):
        sample_numba(model, draws=5, chains=1, progressbar=False)
