"""Groups in the sampling phase, with step size and metric set by hand: the kernel without its warmup."""

import numpy as np
from targets import Target, native

from nutmill.nuts.group import GroupPlan, new_group
from nutmill.nuts.state import GroupState
from nutmill.run.draws_in_memory import DrawsInMemory
from nutmill.run.groups import Group


def new_plan(draws: int = 100, tune: int | None = None, **changes) -> GroupPlan:
    """Make a plan with the usual settings."""
    return GroupPlan(draws, tune, 0.8, 10, keep_warmup=True, n_divergences=draws)._replace(**changes)


def target_group(target: Target, state: GroupState) -> Group:
    """Make a group of the arrays that it lives in."""
    n_chains, n_draws, n_dim = state.draws.shape
    store = DrawsInMemory(state, (state.draws, state.statistics))
    return Group([native(target, n_dim)], state, list(range(n_chains)), n_draws, store)


def new_target_group(target: Target, points: np.ndarray, plan: GroupPlan, seed: int = 1) -> Group:
    """Make a group that has not started."""
    state = new_group(plan, points, seed, list(range(len(points))))
    return target_group(target, state)


def sampling_group(
    target: Target, points: np.ndarray, step_size: float, variance, plan: GroupPlan, *, seed: int = 1
) -> Group:
    """Make a group that samples from the first draw on."""
    group = new_target_group(target, points, plan._replace(tune=0), seed)
    for chain in range(len(points)):
        assert group.start(chain) == 0
    group.pool()
    assert group.is_sampling
    group.state.chains["log_step"] = np.log(step_size)
    group.state.variance[:] = variance
    return group


def set_directions(group: Group, units: np.ndarray, stretch) -> None:
    """Give all chains orthonormal directions (rank, n_dim) beside the diagonal that they have."""
    state, rank = group.state, len(stretch)
    state.directions[:, :rank] = np.sqrt(state.variance)[:, None] * units
    state.stretch[:, :rank] = stretch
    state.chains["rank"] = rank


def metric_root(state, chain: int) -> np.ndarray:
    """Return a matrix R of which R R' is the inverse metric of a chain, as its momenta are drawn: R'^-1 z."""
    scale, rank = np.sqrt(state.variance[chain]), state.chains[chain]["rank"]
    units = state.directions[chain, :rank] / scale
    tilt = np.eye(len(scale)) + units.T @ ((np.sqrt(state.stretch[chain, :rank]) - 1.0)[:, None] * units)
    return scale[:, None] * tilt


def orthonormal(rank: int, n_dim: int) -> np.ndarray:
    """Return some orthonormal vectors, (rank, n_dim)."""
    return np.linalg.qr(np.random.default_rng(rank).normal(size=(n_dim, rank)))[0].T


def start_all(group: Group) -> None:
    """Start all chains of a group."""
    for chain in range(len(group.chain_ids)):
        assert group.start(chain) == 0
    group.pool()


def advance_all(group: Group) -> None:
    """Make all draws of the present stage."""
    for chain in range(len(group.chain_ids)):
        assert group.advance(chain, group.n_missing(chain)) == 0


def run_warmup(group: Group) -> None:
    """Take a group from its start to the sampling phase."""
    start_all(group)
    while not group.is_sampling:
        advance_all(group)
        group.pool()
