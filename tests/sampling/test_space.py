"""Runs whose draws have no room: what takes most of it is named, and what to do about it."""

import numpy as np
import pymc as pm
import pytest

from nutmill import ModelError, compile_model, sample_numba


@pytest.fixture(scope="module")
def large():
    with pm.Model() as model:
        x = pm.Normal("x", shape=300)
        pm.Deterministic("twice", 2.0 * x)
        pm.Deterministic("products", x[:, None] * x)
        pm.Normal("y", x[0], 1.0, observed=np.zeros(200_000))
    return compile_model(model)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {},
            "4 chains of 1000000 draws need about 2.9e.03 GB.*: products takes 2.88e.03 GB of it: leave it out by "
            r"naming the others as var_names=, or take fewer chains or draws\.$",
        ),
        (
            {"idata_kwargs": {"log_likelihood": True}},
            "log_likelihood takes 6.4e.03 GB of it: leave it out of idata_kwargs, or take fewer chains or draws",
        ),
        (
            {"draws": 1, "tune": 10**12},
            r"draws of warmup need about .*: take fewer chains or draws, or report fewer variables \(var_names=\)\.$",
        ),
    ],
)
def test_what_takes_most_of_the_memory_is_named(large, options, sentence):
    with pytest.raises(ModelError, match=sentence):
        sample_numba(large, **{"draws": 1_000_000, "random_seed": 1, "progressbar": False, **options})


def test_what_takes_most_of_the_disk_is_named(large, tmp_path):
    with pytest.raises(ModelError, match=r"are free there: products takes 2.88e\+05 GB of it: leave it out by naming"):
        sample_numba(large, draws=10**8, random_seed=1, progressbar=False, checkpoint=tmp_path / "run")
