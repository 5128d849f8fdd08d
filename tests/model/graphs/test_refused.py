"""Models that NUTS cannot sample: a sentence for each, before anything is compiled."""

import warnings

import numpy as np
import pymc as pm
import pytest

from nutmill import ModelError, compile_model


def test_counts_that_are_missing_can_be_left_out():
    with pm.Model() as model, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyMC tells that it will impute
        pm.Poisson("y", pm.Exponential("rate", 1.0), observed=np.ma.masked_values([1, 2, -1], -1))
    with pytest.raises(
        ModelError, match=r"discrete variables: y_unobserved\. .* Counts that are missing can be left out"
    ):
        compile_model(model)


def drawing_in_a_potential(b):
    pm.Potential("close", -((b - pm.Normal.dist(0.0, 1.0)) ** 2))


def drawing_in_a_deterministic(b):
    noisy = pm.Deterministic("close", b + pm.Normal.dist(0.0, 1.0))
    pm.Deterministic("twice", 2.0 * noisy)


def drawing_what_is_observed(b):
    pm.Normal("y", b, 1.0, observed=pm.Minibatch(np.arange(100.0), batch_size=10), total_size=100)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (drawing_in_a_potential, "^close draws random numbers at each evaluation"),
        (drawing_in_a_deterministic, "^close draws random numbers at each evaluation"),
        (drawing_what_is_observed, r"^The observations of y are drawn anew at each evaluation, as by pm\.Minibatch"),
    ],
)
def test_models_that_draw_by_themselves(write, sentence):
    with pm.Model() as model:
        write(pm.Normal("b", initval="prior"))
    with pytest.raises(ModelError, match=sentence):
        compile_model(model)
