"""WALNUTS on our density: the function between them for real; the sampler where walnutpie is installed."""

import ctypes

import numpy as np
import pymc as pm
import pytest

import nutmill
from nutmill.comparison.samplers import walnuts
from nutmill.comparison.samplers.contract import Size
from nutmill.results.trace import group

Y = np.array([0.5, 1.5, 1.0, 2.0])


def build():
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.HalfNormal("scale", shape=2)
        pm.Normal("y", mu, 1.0, observed=Y)
    return model


def test_the_function_between_gives_our_density_and_counts():
    program = nutmill.compile_model(build())
    address, calls = walnuts.counted_density(program)
    density = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_size_t, *[ctypes.c_void_p] * 4)(address)
    position, gradient, logp = np.array([0.3, -0.2, 0.1]), np.zeros(3), np.zeros(1)
    for n_calls in (1, 2):
        words = [array.ctypes.data for array in (position, gradient, logp)]
        assert density(3, *words, program.binding.data) == 0
        assert calls.tolist() == [n_calls]
    wanted, slopes = program.logp_dlogp(position)
    assert logp[0] == wanted
    np.testing.assert_array_equal(gradient, slopes)


def test_draws_are_those_of_the_model():
    pytest.importorskip("walnutpie")
    found = walnuts.run(build(), Size(draws=1000, chains=4, cores=1, seed=1))
    posterior, stats, warmup = (group(found.trace, name) for name in found.trace)
    assert posterior["scale"].shape == (4, 1000, 2) and posterior.attrs["tuning_steps"] > 10
    # The posterior is normal: mean sum(y) / 5, variance 1 / 5. Half-normal scales have mean sqrt(2 / pi).
    assert float(posterior["mu"].mean()) == pytest.approx(Y.sum() / 5.0, abs=0.05)
    assert float(posterior["scale"].mean()) == pytest.approx(np.sqrt(2.0 / np.pi), abs=0.05)
    gradients = float(stats["n_steps"].sum()), float(warmup["n_steps"].sum())
    assert min(gradients) > 0.0 and sum(gradients) > 4000.0
