"""Series in which each value follows from those before it, as users write them with `pytensor.scan`, on made data.

The suite has further ones: `arma`, `garch`, `hidden_states`, `local_level`.
"""

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

SEED = 20261129


def build(kind: str, steps: int | None = None) -> pm.Model:
    """Build the model of this kind, one of `KINDS`, with its own number of steps unless one is given."""
    make, own = KINDS[kind]
    with pm.Model() as model:
        make(np.random.default_rng(SEED), own if steps is None else steps)
    return model


def _scan(step: Callable, **options):
    return pytensor.scan(step, return_updates=False, **options)


def _autoregression(rng: np.random.Generator, steps: int) -> None:
    """A latent autoregression of third order: its innovations are parameters."""
    level, scale = pm.Normal("level"), pm.HalfNormal("scale")
    weights, first = pm.Normal("weights", 0.0, 0.3, shape=3), pm.Normal("first", shape=3)
    shocks = pm.Normal("shocks", shape=steps)

    def step(shock, third, second, before, weights):
        return weights[0] * before + weights[1] * second + weights[2] * third + shock

    values = _scan(
        step,
        sequences=[level + scale * shocks],
        outputs_info=[{"initial": first, "taps": [-3, -2, -1]}],
        non_sequences=[weights],
    )
    pm.Normal("y", values, 1.0, observed=rng.normal(size=steps))


def _forward(rng: np.random.Generator, steps: int) -> None:
    """A hidden Markov model of three states by scaled probabilities: a vector times a matrix in each step."""
    moves = pm.Dirichlet("moves", np.ones((3, 3)))
    means, spread = pm.Normal("means", np.arange(3.0), 1.0, shape=3), pm.HalfNormal("spread")
    likelihood = pt.exp(pm.logp(pm.Normal.dist(means, spread), rng.normal(size=steps)[:, None]))

    def step(likelihood, state, moves):
        joint = likelihood * pt.dot(state, moves)
        return joint / joint.sum(), pt.log(joint.sum())

    _, terms = _scan(
        step, sequences=[likelihood], outputs_info=[pt.as_tensor(np.full(3, 1 / 3)), None], non_sequences=[moves]
    )
    pm.Potential("likelihood", terms.sum())


def _season(rng: np.random.Generator, steps: int) -> None:
    """A local level with a season of four quarters, by a Kalman filter of four states."""
    forward = np.array([[1.0, 0, 0, 0], [0, -1, -1, -1], [0, 1, 0, 0], [0, 0, 1, 0]])
    seen = np.array([1.0, 1.0, 0.0, 0.0])
    level, season, noise = (pm.HalfNormal(name) for name in ("level", "season", "noise"))
    shocks = pt.diag(pt.stack([level**2, season**2, 0.0, 0.0]))

    def step(y, mean, covariance, shocks, noise):
        missed, predicted = y - pt.dot(seen, mean), pt.dot(seen, pt.dot(covariance, seen)) + noise**2
        gain = pt.dot(covariance, seen) / predicted
        mean, covariance = mean + gain * missed, covariance - pt.outer(gain, pt.dot(seen, covariance))
        term = -0.5 * (pt.log(2 * np.pi * predicted) + missed**2 / predicted)
        return pt.dot(forward, mean), pt.dot(forward, pt.dot(covariance, forward.T)) + shocks, term

    *_, terms = _scan(
        step,
        sequences=[pt.as_tensor(rng.normal(size=steps).cumsum())],
        outputs_info=[pm.Normal("start", 0.0, 5.0, shape=4), pt.eye(4, dtype="float64") * 10.0, None],
        non_sequences=[shocks, noise],
    )
    pm.Potential("likelihood", terms.sum())


def _euler_maruyama(rng: np.random.Generator, steps: int) -> None:
    """A stochastic differential equation in steps of a tenth, its noise as parameters."""
    pull, middle, spread = pm.HalfNormal("pull"), pm.Normal("middle"), pm.HalfNormal("spread")
    noise, start = pm.Normal("noise", shape=steps), pm.Normal("start")

    def step(noise, x, pull, middle, spread):
        return x + 0.1 * pull * (middle - x) + spread * np.sqrt(0.1) * pt.tanh(x) * noise

    path = _scan(step, sequences=[noise], outputs_info=[start], non_sequences=[pull, middle, spread])
    pm.Normal("y", path, 0.5, observed=rng.normal(size=steps))


KINDS = {
    "autoregression": (_autoregression, 300),
    "forward": (_forward, 200),
    "season": (_season, 120),
    "euler_maruyama": (_euler_maruyama, 200),
}
