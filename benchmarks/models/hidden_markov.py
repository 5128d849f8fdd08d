"""Hidden Markov models of two states, the states summed out: posteriordb's `hmm_example` and `hmm_drive`."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from benchmarks.models.posteriordb import load_data

_ORDERED = pm.distributions.transforms.ordered


def example() -> pm.Model:
    """Build the model of `hmm_example.stan`: normal values of unit spread about two levels, 4 parameters."""
    y = load_data("hmm_example")["y"]
    with pm.Model() as model:
        moves = _moves(np.ones((2, 2)))
        mu = _positive_ordered("mu", (3.0, 10.0))
        pm.Potential("y", log_likelihood(_normal(y, mu, 1.0), moves))
    return model


def drive_exponential() -> pm.Model:
    """Build the model of `hmm_drive_0.stan`: 416 pairs of exponential values, 6 parameters."""
    data = load_data("bball_drive_event_0")
    with pm.Model() as model:
        moves = _moves(data["alpha"])
        rates = [_positive_ordered(name, (0.0, 3.0)) for name in ("phi", "lambda")]
        pairs = zip((data["u"], data["v"]), rates, strict=True)
        emissions = sum(pt.log(rate) - rate * values[:, None] for values, rate in pairs)
        pm.Potential("u_and_v", log_likelihood(emissions, moves))
    return model


def drive_normal() -> pm.Model:
    """Build the model of `hmm_drive_1.stan`: 416 pairs of normal values of known spread, 6 parameters."""
    data = load_data("bball_drive_event_1")
    with pm.Model() as model:
        moves = _moves(data["alpha"])
        phi, level = (pm.Normal(name, [0.0, 3.0], 1.0, transform=_ORDERED) for name in ("phi", "lambda"))
        emissions = _normal(data["u"], phi, float(data["tau"])) + _normal(data["v"], level, float(data["rho"]))
        pm.Potential("u_and_v", log_likelihood(emissions, moves))
    return model


def log_likelihood(emissions: pt.TensorVariable, moves: pt.TensorVariable) -> pt.TensorVariable:
    """Sum over all paths of states, by the forward algorithm.

    Parameters
    ----------
    emissions : (steps, states)
        Log density of what was seen at each step, given the state.
    moves : (states, states)
        Probabilities from row to column. The first state has, as in these Stan programs, no distribution.
    """
    log_moves = pt.log(moves)

    def step(emission, paths, log_moves):
        return emission + pt.logsumexp(paths[:, None] + log_moves, axis=0)

    paths = pytensor.scan(
        step,
        sequences=[emissions[1:]],
        outputs_info=[emissions[0]],
        non_sequences=[log_moves],
        return_updates=False,
    )
    return pt.logsumexp(paths[-1])


def _moves(weights: np.ndarray) -> pt.TensorVariable:
    return pt.stack([pm.Dirichlet(f"theta{row}", each.astype(float)) for row, each in enumerate(weights, start=1)])


def _positive_ordered(name: str, centres: tuple[float, float]) -> pt.TensorVariable:
    """Two positive values, the larger one second, each normal about its centre with unit spread before that."""
    low = pm.TruncatedNormal(f"{name}_low", centres[0], 1.0, lower=0.0)
    step = pm.HalfFlat(f"{name}_step")
    pm.Potential(f"{name}_high", pm.logp(pm.Normal.dist(centres[1], 1.0), low + step))
    return pm.Deterministic(name, pt.stack([low, low + step]))


def _normal(values: np.ndarray, means: pt.TensorVariable, spread: float) -> pt.TensorVariable:
    return pm.logp(pm.Normal.dist(means, spread), values[:, None])
