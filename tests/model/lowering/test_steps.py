"""Steps of loops are written as other graphs are: fused, without Python, with values and gradients that are right."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.tensor.special import log_softmax
from scipy import stats

from nutmill import compile_model

N = 6
Y = np.random.default_rng(0).normal(size=N)
POSITION = np.array([0.2, -0.3])


def assert_gradient(compiled) -> None:
    """The gradient is what differences of fourth order give."""
    step, (_, gradient) = 1e-3, compiled.logp_dlogp(POSITION)
    for unit, slope in zip(np.eye(2), gradient, strict=True):
        values = [compiled.logp_dlogp(POSITION + n * step * unit)[0] for n in (-2, -1, 1, 2)]
        assert slope == pytest.approx(np.dot([1, -8, 8, -1], values) / (12 * step), rel=1e-8, abs=1e-8)


def test_a_kalman_filter():
    """Products of matrices in a step, against the joint distribution of all observations."""
    forward, seen = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([1.0, 0.0])
    system, noise = pt.dscalar("system"), pt.dscalar("noise")

    def step(y, mean, covariance, system, noise):
        mean = pt.dot(forward, mean)
        covariance = pt.dot(pt.dot(forward, covariance), forward.T) + pt.exp(2 * system) * pt.eye(2)
        predicted = pt.dot(pt.dot(seen, covariance), seen) + pt.exp(2 * noise)
        gain, missed = pt.dot(covariance, seen) / predicted, y - pt.dot(seen, mean)
        logp = -0.5 * (pt.log(2 * np.pi * predicted) + missed**2 / predicted)
        return mean + gain * missed, covariance - pt.outer(gain, pt.dot(seen, covariance)), logp

    *_, terms = pytensor.scan(
        step,
        sequences=[pt.as_tensor(Y)],
        outputs_info=[pt.zeros(2, dtype="float64"), pt.eye(2, dtype="float64"), None],
        non_sequences=[system, noise],
        return_updates=False,
    )
    compiled = compile_model(terms.sum(), start={"system": 0.0, "noise": 0.0})
    assert compiled.code.fused and not {"Dot", "Dot22", "Gemv"} & set(compiled.code.by_numba)
    powers = [np.linalg.matrix_power(forward, n) for n in range(N + 1)]
    loads = np.array([[seen @ powers[t - s] if s <= t else seen * 0 for s in range(N + 1)] for t in range(1, N + 1)])
    variance = dict(zip(compiled.description.names, np.exp(2 * POSITION), strict=True))
    variances = np.r_[1.0, np.full(N, variance["system"])]
    joint = np.einsum("tsi,s,usi->tu", loads, variances, loads) + variance["noise"] * np.eye(N)
    assert compiled.logp_dlogp(POSITION)[0] == pytest.approx(stats.multivariate_normal(cov=joint).logpdf(Y), rel=1e-12)
    assert_gradient(compiled)


def hidden_states(lowering="nutmill"):
    """Compile a chain of two hidden states: softmax and logsumexp in a step."""
    with pm.Model() as model:
        means = pm.Flat("means", shape=2)

        def step(y, before, means):
            moves = log_softmax(pt.stack([means, means[::-1]]), axis=1)
            return pt.logsumexp(before[:, None] + moves, axis=0) - 0.5 * (y - means) ** 2

        alpha = pytensor.scan(
            step,
            sequences=[pt.as_tensor(Y)],
            outputs_info=[pt.zeros(2, dtype="float64")],
            non_sequences=[means],
            return_updates=False,
        )
        pm.Potential("terms", pt.logsumexp(alpha[-1]))
    return compile_model(model, lowering=lowering)


@pytest.mark.slow
def test_a_chain_of_hidden_states():
    alpha = np.zeros(2)
    for y in Y:
        tables = np.stack([POSITION, POSITION[::-1]])
        moves = tables - np.logaddexp.reduce(tables, axis=1, keepdims=True)
        alpha = np.logaddexp.reduce(alpha[:, None] + moves, axis=0) - 0.5 * (y - POSITION) ** 2
    for compiled in (hidden_states(), hidden_states("numba")):
        assert compiled.logp_dlogp(POSITION)[0] == pytest.approx(np.logaddexp.reduce(alpha), rel=1e-12)
        assert_gradient(compiled)
