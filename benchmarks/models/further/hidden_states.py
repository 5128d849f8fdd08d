"""A hidden Markov model of three states, the states summed out: counts of a day in calm, usual and busy weather."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

DAYS, STATES, SEED = 300, 3, 20261201


def build() -> pm.Model:
    """Build the model: 12 parameters, a recursion over 300 days by the forward algorithm."""
    counts = arrays()["counts"]
    with pm.Model() as model:
        moves = pm.Dirichlet("moves", np.full((STATES, STATES), 2.0) + 8.0 * np.eye(STATES))
        log_rate = pm.Normal(
            "log_rate", [0.5, 1.5, 2.5], 1.0, transform=pm.distributions.transforms.ordered, shape=STATES
        )
        first = pm.Dirichlet("first", np.ones(STATES))
        emissions = pm.logp(pm.Poisson.dist(pt.exp(log_rate)), counts[:, None])
        log_moves = pt.log(moves)
        paths = pytensor.scan(
            lambda emission, before, log_moves: emission + pt.logsumexp(before[:, None] + log_moves, axis=0),
            sequences=[emissions[1:]],
            outputs_info=[emissions[0] + pt.log(first)],
            non_sequences=[log_moves],
            return_updates=False,
        )
        pm.Potential("counts", pt.logsumexp(paths[-1]))
    return model


def arrays() -> dict[str, np.ndarray]:
    """Make the data by their names: a count for each day."""
    rng = np.random.default_rng(SEED)
    moves = np.array([[0.9, 0.08, 0.02], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
    state, states = 0, []
    for _ in range(DAYS):
        state = rng.choice(STATES, p=moves[state])
        states.append(state)
    return {"counts": rng.poisson(np.array([1.5, 5.0, 14.0])[states])}
