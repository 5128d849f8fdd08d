"""An ARMA(1, 1) time series, whose errors follow from each other step by step, on data made by a seed."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

STEPS, SEED = 300, 20261128


def build(steps: int = STEPS) -> pm.Model:
    """Build the model of Stan's user's guide: 4 parameters, a scan over the series."""
    (y,) = arrays(steps).values()
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 10.0)
        memory = pm.Uniform("memory", -1.0, 1.0)
        moving = pm.Uniform("moving", -1.0, 1.0)
        sigma = pm.HalfCauchy("sigma", 2.5)
        pm.Potential("likelihood", pm.logp(pm.Normal.dist(0.0, sigma), errors(y, mean, memory, moving)).sum())
    return model


def errors(y: np.ndarray, mean, memory, moving) -> pt.TensorVariable:
    """Compute what the series is off its own prediction at each step, (steps,); before the first it was not."""

    def step(now, before, error, mean, memory, moving):
        return now - (mean + memory * before + moving * error)

    first = y[0] - (mean + memory * mean)
    later = pytensor.scan(
        step,
        sequences=[pt.as_tensor(y[1:]), pt.as_tensor(y[:-1])],
        outputs_info=[first],
        non_sequences=[mean, memory, moving],
        return_updates=False,
    )
    return pt.concatenate([first[None], later])


def arrays(steps: int = STEPS) -> dict[str, np.ndarray]:
    """Make the data by their name: the series."""
    rng = np.random.default_rng(SEED)
    noise = 0.5 * rng.normal(size=steps)
    y = np.zeros(steps)
    for now in range(1, steps):
        y[now] = 0.3 + 0.6 * y[now - 1] + noise[now] + 0.3 * noise[now - 1]
    return {"y": y}
